import { TabserveError } from '../core/errors.ts';
import type { ChatTemplateOrigin } from '../core/protocol.ts';
import { readHint, type Metadata } from './metadata.ts';

/** A chat template's Jinja source, and where it comes from. */
export interface TemplateSource {
  readonly origin: Exclude<ChatTemplateOrigin, 'none'>;
  readonly source: string;
}

/** The template that is given, else the file's own; undefined where there is none, or one that is blank. */
export function findChatTemplate(metadata: Metadata, given: string | undefined): TemplateSource | undefined {
  if (given !== undefined) return { origin: 'option', source: given };
  const source = readHint(metadata, 'tokenizer.chat_template');
  return source === undefined || source.trim() === '' ? undefined : { origin: 'file', source };
}

/** Why a model without a chat template is not asked to chat. */
export function noChatTemplate(): TabserveError {
  return new TabserveError(
    'unsupported_model',
    "This model's file has no chat template, so tabserve does not know how it wants a chat written. Give createClient " +
      'the template (chatTemplate), or continue texts with client.completions.',
  );
}

/** A template that is given is its giver's: what is wrong with it is no fault of the model's. */
export function blame<Result>({ origin }: TemplateSource, use: () => Result): Result {
  try {
    return use();
  } catch (error) {
    if (origin === 'file' || !(error instanceof TabserveError) || error.code !== 'unsupported_model') throw error;
    const message = error.message.replace("The model's chat template", 'The chatTemplate that was given');
    throw new TabserveError('invalid_request', message, { param: 'chatTemplate', cause: error });
  }
}
