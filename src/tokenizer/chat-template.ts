import { Template } from '@huggingface/jinja';
import { TabserveError } from '../core/errors.ts';
import type { ChatMessage } from '../core/protocol.ts';

/** The tokens' texts that a template may write. */
export interface TemplateTokens {
  readonly bos: string;
  readonly eos: string;
}

/** Messages to prompt text, ending where the assistant's answer begins. */
export type ChatTemplate = (messages: readonly ChatMessage[]) => string;

/**
 * A model's own Jinja template.
 *
 * @throws TabserveError `unsupported_model` where the template cannot be read; the function it returns throws
 * `invalid_request` where the template refuses the messages, with the template's own words
 */
export function createChatTemplate(source: string, tokens: TemplateTokens): ChatTemplate {
  let template: Template;
  try {
    template = new Template(source);
  } catch (cause) {
    throw new TabserveError('unsupported_model', `The model's chat template cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
  return (messages) => {
    try {
      // `raise_exception` and `strftime_now` are Template's own.
      return template.render({
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: true,
        bos_token: tokens.bos,
        eos_token: tokens.eos,
      });
    } catch (cause) {
      throw new TabserveError(
        'invalid_request',
        `The model's chat template refuses these messages: ${messageOf(cause)}`,
        {
          param: 'messages',
          cause,
        },
      );
    }
  };
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
