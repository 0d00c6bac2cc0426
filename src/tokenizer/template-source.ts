import { TabserveError } from '../core/errors.ts';
import type { ChatTemplateOrigin } from '../core/protocol.ts';
import { readHint, type Metadata } from './metadata.ts';

/** A chat template's Jinja source, and its origin. */
export interface TemplateSource {
  readonly origin: Exclude<ChatTemplateOrigin, 'none'>;
  readonly source: string;
}

/** The given template, else the file's own; undefined where there is none, or a blank one. */
export function findChatTemplate(metadata: Metadata, given: string | undefined): TemplateSource | undefined {
  if (given !== undefined) return { origin: 'option', source: given };
  const source = readHint(metadata, 'tokenizer.chat_template');
  return source === undefined || source.trim() === '' ? undefined : { origin: 'file', source };
}

/** The error of a chat request to a model without a chat template. */
export function noChatTemplate(): TabserveError {
  return new TabserveError(
    'unsupported_model',
    "This model's file has no chat template, so tabserve does not know how it wants a chat written. Give createClient " +
      'the template (chatTemplate), or continue texts with client.completions.',
  );
}

/** Attributes errors: a fault of a given template is reported as the caller's, not the model's. */
export function blame<Result>({ origin }: TemplateSource, use: () => Result): Result {
  try {
    return use();
  } catch (error) {
    if (origin === 'file' || !(error instanceof TabserveError) || error.code !== 'unsupported_model') throw error;
    const message = error.message.replace("The model's chat template", 'The chatTemplate that was given');
    throw new TabserveError('invalid_request', message, { param: 'chatTemplate', cause: error });
  }
}
