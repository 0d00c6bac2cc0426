import { TabserveError } from '../core/errors.ts';
import { type Body, booleanIn, integerIn, invalid } from './body-fields.ts';
import { type CompletionContext, type CompletionRequest, parseShared } from './completion-request.ts';
import { refuseUnsupported } from './parameters.ts';
import { TEXT_PARAMETERS } from './text-parameters.ts';
import { parsePrompts, type TextPrompt } from './text-prompts.ts';

/** OpenAI's default for this endpoint, and vLLM's. */
const DEFAULT_MAX_TOKENS = 16;

/** Choices of one request, over all of its prompts: as many requests of a tab as may wait. */
const MAX_CHOICES = 128;

/** A text completion request, checked and with its defaults filled in. */
export interface TextRequest extends CompletionRequest {
  /** The beginning of each choice's text, by the choice's index; '' for none. */
  readonly echo: (index: number) => string;
}

function checkBestOf(body: Body, n: number): void {
  const bestOf = integerIn(body, 'best_of', 1, Number.MAX_SAFE_INTEGER);
  if (bestOf === undefined || bestOf === n) return;
  const message = `"best_of" is ${bestOf} and "n" is ${n}; choosing the best of more is not supported yet: leave "best_of" out.`;
  throw new TabserveError('unsupported_parameter', message, { param: 'best_of' });
}

function parseEcho(body: Body, prompts: readonly TextPrompt[], n: number): TextRequest['echo'] {
  if (booleanIn(body, 'echo') !== true) return () => '';
  const texts = prompts.map((prompt) => {
    if ('text' in prompt) return prompt.text;
    const message = '"echo" is not supported yet for a prompt of token ids; give a text, or leave "echo" out.';
    throw new TabserveError('unsupported_parameter', message, { param: 'echo' });
  });
  return (index) => texts[Math.floor(index / n)] ?? '';
}

/**
 * Parses the body of an OpenAI completion request: a prompt that is a text or token ids. By default, at most 16 tokens
 * are generated.
 *
 * @throws TabserveError `unsupported_parameter` or `invalid_request`, with the parameter's name in `param`
 */
export function parseTextRequest(body: unknown, context: CompletionContext): TextRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new TabserveError('invalid_request', 'A completion request must be an object with a "prompt".');
  }
  const fields = body as Body;
  refuseUnsupported(fields, TEXT_PARAMETERS);
  const { generate, ...shared } = parseShared(fields, context);
  const prompts = parsePrompts(fields['prompt']);
  const { n } = shared;
  checkBestOf(fields, n);
  if (prompts.length * n > MAX_CHOICES) {
    const message = `${prompts.length} prompts with n = ${n} are ${prompts.length * n} choices; at most ${MAX_CHOICES} may be asked for.`;
    throw invalid(`"prompt": ${message}`, 'prompt');
  }
  const maxTokens = integerIn(fields, 'max_tokens', 1, Number.MAX_SAFE_INTEGER) ?? DEFAULT_MAX_TOKENS;
  return { prompts, generate: { ...generate, maxTokens }, ...shared, echo: parseEcho(fields, prompts, n) };
}
