import { TabserveError } from '../core/errors.ts';

/** Parameters that are read. */
const SUPPORTED = [
  'messages', 'model', 'max_completion_tokens', 'max_tokens', 'temperature', 'seed', 'stop', 'stream',
  'stream_options', 'n', 'top_p', 'top_k', 'min_p', 'repetition_penalty', 'presence_penalty', 'frequency_penalty',
  'logit_bias', 'tabserve',
] as const;

/** Parameters that change nothing here: they tell a server whom to bill, what to keep or how to route. */
const IGNORED = [
  'user', 'metadata', 'store', 'prompt_cache_key', 'prompt_cache_retention', 'safety_identifier',
] as const;

/** Parameters not implemented yet, each with the values that ask for nothing (`null` always does) and pass. */
const UNSUPPORTED: Readonly<Record<string, readonly unknown[]>> = {
  // OpenAI
  audio: [],
  function_call: ['none'],
  functions: [],
  logprobs: [false],
  modalities: [],
  parallel_tool_calls: [true, false],
  prediction: [],
  reasoning_effort: ['none'],
  response_format: [],
  service_tier: ['auto', 'default'],
  tool_choice: ['none', 'auto'],
  tools: [],
  top_logprobs: [0],
  verbosity: ['medium'],
  web_search_options: [],
  // vLLM
  allowed_token_ids: [],
  bad_words: [],
  guided_choice: [],
  guided_grammar: [],
  guided_json: [],
  guided_regex: [],
  ignore_eos: [false],
  include_stop_str_in_output: [false],
  length_penalty: [1],
  min_tokens: [0],
  priority: [0],
  prompt_logprobs: [],
  skip_special_tokens: [true],
  stop_token_ids: [],
  structured_outputs: [],
  use_beam_search: [false],
};

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** `response_format: { type: 'text' }` and `modalities: ['text']` say what is the case anyway. */
function asksForPlainText(name: string, value: unknown): boolean {
  if (name === 'modalities') return Array.isArray(value) && value.every((modality) => modality === 'text');
  if (name !== 'response_format' || typeof value !== 'object' || value === null) return false;
  return 'type' in value && value.type === 'text';
}

const KNOWN: ReadonlySet<string> = new Set([...SUPPORTED, ...IGNORED]);

/**
 * Refuses what a request asks for and would not get.
 *
 * @throws TabserveError `unsupported_parameter` for a parameter of OpenAI's or vLLM's that is not implemented and set
 *   to something other than its default; `invalid_request` for one that neither has
 */
export function refuseUnsupported(body: Readonly<Record<string, unknown>>): void {
  for (const [param, value] of Object.entries(body)) {
    if (KNOWN.has(param) || value === undefined) continue;
    const neutral = Object.hasOwn(UNSUPPORTED, param) ? UNSUPPORTED[param] : undefined;
    if (neutral === undefined) {
      const message = `Unknown parameter "${param}". Supported: ${SUPPORTED.join(', ')}.`;
      throw new TabserveError('invalid_request', message, { param });
    }
    if (isEmpty(value) || neutral.includes(value) || asksForPlainText(param, value)) continue;
    throw new TabserveError('unsupported_parameter', `"${param}" is not supported yet; leave it out.`, { param });
  }
}
