import { TabserveError } from '../core/errors.ts';
import type { GenerateRequest } from '../core/protocol.ts';
import { type Body, booleanIn, integerIn, invalid, numberIn } from './body-fields.ts';
import { parseMessages } from './chat-messages.ts';
import { refuseUnsupported } from './chat-parameters.ts';
import { parseLogitsParams } from './chat-sampling.ts';
import { parseTabserveExtension } from './tabserve-extension.ts';

/** A chat request, checked and with its defaults filled in. */
export interface ChatRequest {
  readonly generate: Omit<GenerateRequest, 'requestId'>;
  /** How many choices are asked for. */
  readonly n: number;
  readonly stream: boolean;
  /** Whether the stream ends with a usage chunk. */
  readonly includeUsage: boolean;
}

export interface ChatRequestContext {
  /** The names that the loaded model answers to. */
  readonly modelNames: readonly string[];
  /** 32 random bits, for a request without a seed. */
  readonly randomSeed: () => number;
}

/** Choices of one request: as many sequences as an engine runs at once on a GPU. */
const MAX_CHOICES = 16;

/** OpenAI's limit. */
const MAX_STOP_STRINGS = 4;

function checkModel(model: unknown, names: readonly string[]): void {
  if (model === undefined || model === null) return;
  if (typeof model !== 'string') throw invalid('"model" must be a string.', 'model');
  if (names.includes(model)) return;
  const loaded = names.map((name) => `"${name}"`).join(' or ');
  throw invalid(`"model" is "${model}", but this client serves ${loaded}; give that or leave "model" out.`, 'model');
}

function parseMaxTokens(body: Body): number | undefined {
  const current = integerIn(body, 'max_completion_tokens', 1, Number.MAX_SAFE_INTEGER);
  const older = integerIn(body, 'max_tokens', 1, Number.MAX_SAFE_INTEGER);
  if (current !== undefined && older !== undefined && current !== older) {
    throw invalid('"max_tokens" and "max_completion_tokens" mean the same and differ; give one of them.', 'max_tokens');
  }
  return current ?? older;
}

function parseStop(stop: unknown): readonly string[] {
  if (stop === undefined || stop === null) return [];
  const stops: readonly unknown[] = Array.isArray(stop) ? stop : [stop];
  if (stops.length > MAX_STOP_STRINGS) throw invalid(`"stop" has more than ${MAX_STOP_STRINGS} texts.`, 'stop');
  return stops.map((text) => {
    if (typeof text === 'string' && text !== '') return text;
    throw invalid('"stop" must be a text, or an array of texts, none of them empty.', 'stop');
  });
}

function parseStream(body: Body): Pick<ChatRequest, 'stream' | 'includeUsage'> {
  const stream = booleanIn(body, 'stream') ?? false;
  const options = body['stream_options'];
  if (options === undefined || options === null) return { stream, includeUsage: false };
  if (!stream) throw invalid('"stream_options" is only for requests with "stream": true.', 'stream_options');
  if (typeof options !== 'object') throw invalid('"stream_options" must be an object.', 'stream_options');
  const { include_usage, include_obfuscation: _padding, ...rest } = options as Body;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) throw invalid(`Unknown option "stream_options.${unknown}".`, `stream_options.${unknown}`);
  const includeUsage = booleanIn({ include_usage }, 'include_usage', 'stream_options.include_usage') ?? false;
  return { stream, includeUsage };
}

/**
 * Reads the body of an OpenAI chat completion request. Defaults are OpenAI's: temperature 1, a random seed, as many
 * tokens as the context holds.
 *
 * @throws TabserveError `unsupported_parameter` or `invalid_request`, with the parameter's name in `param`
 */
export function parseChatRequest(body: unknown, context: ChatRequestContext): ChatRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new TabserveError('invalid_request', 'A chat request must be an object with "messages".');
  }
  const fields = body as Body;
  refuseUnsupported(fields);
  checkModel(fields['model'], context.modelNames);
  const seed = integerIn(fields, 'seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) ?? context.randomSeed();
  return {
    generate: {
      messages: parseMessages(fields['messages']),
      maxTokens: parseMaxTokens(fields),
      temperature: numberIn(fields, 'temperature', 0, 2) ?? 1,
      seed: seed >>> 0, // modulo 2^32
      logits: parseLogitsParams(fields),
      stop: parseStop(fields['stop']),
      scheduling: parseTabserveExtension(fields['tabserve']),
    },
    n: integerIn(fields, 'n', 1, MAX_CHOICES) ?? 1,
    ...parseStream(fields),
  };
}
