import { TabserveError } from '../core/errors.ts';
import type { ChatMessage } from '../core/protocol.ts';
import { TemplateBudget } from './jinja/budget.ts';
import { TemplateFault, TemplateLimit, TemplateRefusal } from './jinja/errors.ts';
import { renderTemplate } from './jinja/render.ts';
import { type Block, parseTemplate } from './jinja/syntax.ts';
import { charsOf, ownText, partsOf, type Text, type TextPart } from './jinja/text.ts';

/** The texts of the tokens that a template may write. */
export interface TemplateTokens {
  readonly bos: string;
  readonly eos: string;
}

/**
 * Messages to a prompt's text, which ends where the assistant's answer begins. It is split into the template's own
 * words and data.
 */
export type ChatTemplate = (messages: readonly ChatMessage[]) => readonly TextPart[];

/** Known templates have up to 20,000 characters. */
const MAX_SOURCE_CHARS = 64 * 1024;

/**
 * The budget of a rendering. Known templates take 30 to 250 steps a message, at most an eighth of a step for each
 * character; one of them takes 4 more for each two messages, which it compares. They write some 50 characters around a
 * message.
 */
const STEPS = 30_000;
const STEPS_PER_MESSAGE = 1000;
const STEPS_PER_PAIR = 8;
const STEPS_PER_CHAR = 1 / 2;
const MOST_STEPS = 4_000_000;
const OUTPUT_CHARS = 64 * 1024;
const OUTPUT_CHARS_PER_MESSAGE = 1024;
const OUTPUT_CHARS_PER_CHAR = 2;

/** Templates make control tokens of roles (`<|user|>`), so a role's name counts as the template's own text. */
const ROLES: ReadonlyMap<string, Text> = new Map(
  (['system', 'user', 'assistant'] satisfies ChatMessage['role'][]).map((role) => [role, ownText(role)]),
);

/** A chat that every template should be able to render. */
const SHORT_CHAT: readonly ChatMessage[] = [{ role: 'user', content: 'Hi' }];

/**
 * A model's own Jinja template, or an app's. It is as untrusted as the file, so its work and its output are bounded. A
 * short chat is rendered immediately, so that a faulty template is reported before anything else is loaded. A template
 * that refuses just that chat, by `raise_exception`, is not faulty: it may want other messages.
 *
 * @throws TabserveError `unsupported_model` where the template cannot be parsed or rendered; the function it returns
 *   throws `invalid_request` where the template refuses the messages, with the template's own message, and
 *   `unsupported_model` where it is faulty or exceeds its budget
 */
export function createChatTemplate(source: string, tokens: TemplateTokens): ChatTemplate {
  const program = readTemplate(source);
  const render: ChatTemplate = (messages) => {
    try {
      return renderChat(program, messages, tokens);
    } catch (cause) {
      throw renderError(cause);
    }
  };
  try {
    render(SHORT_CHAT);
  } catch (error) {
    if (!(error instanceof TabserveError && error.cause instanceof TemplateRefusal)) throw error;
  }
  return render;
}

function renderChat(program: Block, messages: readonly ChatMessage[], tokens: TemplateTokens): readonly TextPart[] {
  const chars = messages.reduce((sum, { content }) => sum + content.length, 0);
  const steps = STEPS + (STEPS_PER_MESSAGE + STEPS_PER_PAIR * messages.length) * messages.length + STEPS_PER_CHAR * chars;
  const variables = {
    messages: messages.map(({ role, content }) => ({ role: ROLES.get(role) ?? role, content })),
    add_generation_prompt: true,
    bos_token: ownText(tokens.bos),
    eos_token: ownText(tokens.eos),
  };
  const budget = new TemplateBudget(Math.min(steps, MOST_STEPS));
  const text = renderTemplate(program, { variables, budget, now: new Date() });
  const most = OUTPUT_CHARS + OUTPUT_CHARS_PER_MESSAGE * messages.length + OUTPUT_CHARS_PER_CHAR * chars;
  const { length } = charsOf(text);
  if (length > most) throw new TemplateLimit(`it writes ${length} characters`);
  return partsOf(text);
}

function readTemplate(source: string): Block {
  if (source.length > MAX_SOURCE_CHARS) {
    const limit = `it has ${source.length} characters; tabserve takes up to ${MAX_SOURCE_CHARS}`;
    throw new TabserveError('unsupported_model', `The model's chat template is too long: ${limit}.`);
  }
  try {
    return parseTemplate(source);
  } catch (cause) {
    throw new TabserveError('unsupported_model', `The model's chat template cannot be read: ${messageOf(cause)}`, { cause });
  }
}

function renderError(cause: unknown): TabserveError {
  if (cause instanceof TemplateRefusal) {
    return new TabserveError('invalid_request', `The model's chat template refuses these messages: ${messageOf(cause)}`, {
      param: 'messages',
      cause,
    });
  }
  // A RangeError is the interpreter's own stack overflow, or a string that is too long.
  const isLimit = cause instanceof TemplateLimit || cause instanceof RangeError;
  if (!isLimit && !(cause instanceof TemplateFault)) throw cause;
  const what = isLimit ? 'does more than tabserve allows' : 'cannot be rendered';
  return new TabserveError(
    'unsupported_model',
    `The model's chat template ${what}: ${messageOf(cause)}. Give another one as \`chatTemplate\`, or use a file with another.`,
    { cause },
  );
}

function messageOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, 1000);
}
