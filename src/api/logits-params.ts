import { type LogitsParams, MAX_LOGIT_BIASES } from '../core/request.ts';
import { type Body, integerIn, invalid, numberIn } from './body-fields.ts';

/** OpenAI's limit, either way. */
const LARGEST_BIAS = 100;

function parseTopP(body: Body): number | undefined {
  const topP = numberIn(body, 'top_p', 0, 1);
  if (topP === 0) throw invalid('"top_p" must be greater than 0; 1 keeps all tokens.', 'top_p');
  return topP;
}

function parseLogitBias(value: unknown): LogitsParams['logitBias'] {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw invalid('"logit_bias" must be an object of token ids and their biases.', 'logit_bias');
  }
  const entries: readonly (readonly [string, unknown])[] = Object.entries(value);
  if (entries.length > MAX_LOGIT_BIASES) {
    throw invalid(`"logit_bias" has ${entries.length} tokens; at most ${MAX_LOGIT_BIASES} may be given.`, 'logit_bias');
  }
  const biases = entries.map(([key, bias]): readonly [number, number] => {
    if (!/^(0|[1-9]\d{0,9})$/.test(key)) throw invalid(`"logit_bias" has the key "${key}": not a token id.`, 'logit_bias');
    if (typeof bias === 'number' && Math.abs(bias) <= LARGEST_BIAS) return [Number(key), bias];
    const message = `"logit_bias" of token ${key} must be a number from -${LARGEST_BIAS} to ${LARGEST_BIAS}.`;
    throw invalid(message, 'logit_bias');
  });
  const telling = biases.filter(([, bias]) => bias !== 0);
  return telling.length === 0 ? undefined : telling;
}

/**
 * Reads OpenAI's and vLLM's sampling parameters other than the temperature and the seed.
 *
 * @returns `undefined` where every one is absent or asks for nothing
 * @throws TabserveError `invalid_request`, with the parameter's name in `param`
 */
export function parseLogitsParams(body: Body): LogitsParams | undefined {
  /** A parameter that says something. */
  const unless = (neutral: number, value: number | undefined): number | undefined => (value === neutral ? undefined : value);
  const topK = integerIn(body, 'top_k', -1, Number.MAX_SAFE_INTEGER);
  const params: LogitsParams = {
    topK: topK === -1 ? undefined : unless(0, topK),
    topP: unless(1, parseTopP(body)),
    minP: unless(0, numberIn(body, 'min_p', 0, 1)),
    // vLLM's only limit is 0. Beyond these a product would leave f32's range, and nobody would see the difference.
    repetitionPenalty: unless(1, numberIn(body, 'repetition_penalty', 0.01, 100)),
    presencePenalty: unless(0, numberIn(body, 'presence_penalty', -2, 2)),
    frequencyPenalty: unless(0, numberIn(body, 'frequency_penalty', -2, 2)),
    logitBias: parseLogitBias(body['logit_bias']),
  };
  return Object.values(params).every((value) => value === undefined) ? undefined : params;
}
