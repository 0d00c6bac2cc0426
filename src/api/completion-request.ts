import { hideQuery, TabserveError } from '../core/errors.ts';
import type { GenerateRequest, Prompt } from '../core/protocol.ts';
import { type Body, booleanIn, integerIn, invalid, numberIn } from './body-fields.ts';
import { parseLogitsParams } from './logits-params.ts';
import { parseTabserveExtension } from './tabserve-extension.ts';

/** How a prompt is to be continued: what is said of a request beside the prompt itself. */
export type GenerateOptions = Omit<GenerateRequest, 'requestId' | 'prompt' | 'choice' | 'completionId' | 'resume'>;

/** A completion, whichever endpoint it is asked of, checked and with its defaults filled in. */
export interface CompletionRequest {
  /** At least one; each is continued `n` times. */
  readonly prompts: readonly Prompt[];
  readonly generate: GenerateOptions;
  readonly n: number;
  readonly stream: boolean;
  /** Whether the stream ends with a usage chunk. */
  readonly includeUsage: boolean;
}

export interface CompletionContext {
  /** The names that the loaded model answers to. */
  readonly modelNames: readonly string[];
  /** 32 random bits, for a request without a seed. */
  readonly randomSeed: () => number;
}

/** The parameters that {@link parseShared} reads. */
export const SHARED_PARAMETERS = [
  'model', 'temperature', 'seed', 'stop', 'stream', 'stream_options', 'n', 'top_p', 'top_k', 'min_p', 'repetition_penalty',
  'presence_penalty', 'frequency_penalty', 'logit_bias', 'tabserve',
] as const;

/** Choices of one prompt: as many sequences as an engine runs at once on a GPU. */
const MAX_CHOICES = 16;

/** Options of a stream's, OpenAI's and vLLM's, that may only be false. */
const UNSUPPORTED_STREAM_OPTIONS = ['include_obfuscation', 'continuous_usage_stats'];

/** OpenAI's limit. */
const MAX_STOP_STRINGS = 4;
/** Each of them is a state of the automaton that looks for stop strings. */
const MAX_STOP_CHARS = 4096;

function checkModel(model: unknown, names: readonly string[]): void {
  if (model === undefined || model === null) return;
  if (typeof model !== 'string') throw invalid('"model" must be a string.', 'model');
  if (names.includes(model)) return;
  // The first is the model's id; what else was given may be a link with a signature.
  const loaded = names.map((name, index) => `"${index === 0 ? name : hideQuery(name)}"`).join(' or ');
  throw invalid(`"model" is "${hideQuery(model)}", but this client serves ${loaded}; give that or leave "model" out.`, 'model');
}

function parseStop(stop: unknown): readonly string[] {
  if (stop === undefined || stop === null) return [];
  const stops: readonly unknown[] = Array.isArray(stop) ? stop : [stop];
  if (stops.length > MAX_STOP_STRINGS) throw invalid(`"stop" has more than ${MAX_STOP_STRINGS} texts.`, 'stop');
  return stops.map((text) => {
    if (typeof text === 'string' && text !== '' && text.length <= MAX_STOP_CHARS) return text;
    throw invalid(`"stop" must be a text, or an array of texts, each of 1 to ${MAX_STOP_CHARS} characters.`, 'stop');
  });
}

function parseStream(body: Body): Pick<CompletionRequest, 'stream' | 'includeUsage'> {
  const stream = booleanIn(body, 'stream') ?? false;
  const options = body['stream_options'];
  if (options === undefined || options === null) return { stream, includeUsage: false };
  if (!stream) throw invalid('"stream_options" is only for requests with "stream": true.', 'stream_options');
  if (typeof options !== 'object' || Array.isArray(options)) {
    throw invalid('"stream_options" must be an object.', 'stream_options');
  }
  const { include_usage, ...rest } = options as Body;
  const unknown = Object.keys(rest).find((name) => !UNSUPPORTED_STREAM_OPTIONS.includes(name));
  if (unknown !== undefined) throw invalid(`Unknown option "stream_options.${unknown}".`, `stream_options.${unknown}`);
  for (const name of Object.keys(rest)) {
    const param = `stream_options.${name}`;
    if (booleanIn(rest, name, param) !== true) continue;
    throw new TabserveError('unsupported_parameter', `"${param}" is not supported yet; leave it out.`, { param });
  }
  const includeUsage = booleanIn({ include_usage }, 'include_usage', 'stream_options.include_usage') ?? false;
  return { stream, includeUsage };
}

/**
 * Reads the parameters that chat and text completions share. Defaults are OpenAI's: temperature 1, a random seed.
 *
 * @throws TabserveError `invalid_request`, with the parameter's name in `param`
 */
export function parseShared(
  body: Body,
  { modelNames, randomSeed }: CompletionContext,
): Omit<CompletionRequest, 'prompts' | 'generate'> & { readonly generate: Omit<GenerateOptions, 'maxTokens'> } {
  checkModel(body['model'], modelNames);
  const seed = integerIn(body, 'seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) ?? randomSeed();
  return {
    generate: {
      temperature: numberIn(body, 'temperature', 0, 2) ?? 1,
      seed: seed >>> 0, // modulo 2^32
      logits: parseLogitsParams(body),
      stop: parseStop(body['stop']),
      scheduling: parseTabserveExtension(body['tabserve']),
    },
    n: integerIn(body, 'n', 1, MAX_CHOICES) ?? 1,
    ...parseStream(body),
  };
}
