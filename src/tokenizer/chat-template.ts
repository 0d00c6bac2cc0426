import { Environment, parse, tokenize } from '@huggingface/jinja';
import { TabserveError } from '../core/errors.ts';
import type { ChatMessage } from '../core/protocol.ts';
import { TemplateBudget, TemplateLimit } from './template-budget.ts';
import { templateGlobals } from './template-globals.ts';
import { BudgetedInterpreter } from './template-interpreter.ts';

/** The tokens' texts that a template may write. */
export interface TemplateTokens {
  readonly bos: string;
  readonly eos: string;
}

/** Messages to prompt text, ending where the assistant's answer begins. */
export type ChatTemplate = (messages: readonly ChatMessage[]) => string;

/** Known templates have up to 20,000 characters, and no such white space; the lexer's time grows with their product. */
const MAX_SOURCE_CHARS = 64 * 1024;
const LONG_WHITE_SPACE = /\s{257}/;

/** What a rendering may take: known templates take 30 to 200 steps a message, and write some 50 characters around it. */
const STEPS = 30_000;
const STEPS_PER_MESSAGE = 1000;
const STEPS_PER_CHAR = 1 / 4;
const MOST_STEPS = 2_000_000;
const OUTPUT_CHARS = 64 * 1024;
const OUTPUT_CHARS_PER_MESSAGE = 1024;
const OUTPUT_CHARS_PER_CHAR = 2;

/**
 * A model's own Jinja template. It is as untrusted as the file: its work and its output are bounded, whatever it says.
 *
 * @throws TabserveError `unsupported_model` where the template cannot be read; the function it returns throws
 * `invalid_request` where the template refuses the messages, with the template's own words, and `unsupported_model` where
 * it takes more than its bounds
 */
export function createChatTemplate(source: string, tokens: TemplateTokens): ChatTemplate {
  const program = parseTemplate(source);
  return (messages) => {
    const chars = messages.reduce((sum, { content }) => sum + content.length, 0);
    const steps = STEPS + STEPS_PER_MESSAGE * messages.length + STEPS_PER_CHAR * chars;
    const budget = new TemplateBudget(Math.min(steps, MOST_STEPS));
    try {
      const environment = new Environment();
      const variables = {
        ...templateGlobals(budget),
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: true,
        bos_token: tokens.bos,
        eos_token: tokens.eos,
      };
      for (const [name, value] of Object.entries(variables)) environment.set(name, value);
      const text = new BudgetedInterpreter(environment, budget, source.length).run(program).value as string;
      const most = OUTPUT_CHARS + OUTPUT_CHARS_PER_MESSAGE * messages.length + OUTPUT_CHARS_PER_CHAR * chars;
      if (text.length > most) throw new TemplateLimit(`it writes ${text.length} characters`);
      return text;
    } catch (cause) {
      throw renderError(cause);
    }
  };
}

function parseTemplate(source: string): ReturnType<typeof parse> {
  if (source.length > MAX_SOURCE_CHARS || LONG_WHITE_SPACE.test(source)) {
    const limit = `it has ${source.length} characters; tabserve takes up to ${MAX_SOURCE_CHARS}, and 256 of white space in a row`;
    throw new TabserveError('unsupported_model', `The model's chat template is too long: ${limit}.`);
  }
  try {
    return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw new TabserveError('unsupported_model', `The model's chat template cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function renderError(cause: unknown): TabserveError {
  // A RangeError is the interpreter's own stack, or a string longer than any can be.
  if (cause instanceof TemplateLimit || cause instanceof RangeError) {
    return new TabserveError(
      'unsupported_model',
      `The model's chat template does more than tabserve allows: ${messageOf(cause)}. Use a file with another template.`,
      { cause },
    );
  }
  return new TabserveError('invalid_request', `The model's chat template refuses these messages: ${messageOf(cause)}`, {
    param: 'messages',
    cause,
  });
}

function messageOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, 1000);
}
