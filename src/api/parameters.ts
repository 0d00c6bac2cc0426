import { TabserveError } from '../core/errors.ts';
import type { Body } from './body-fields.ts';
import { invalid } from './body-fields.ts';

/** An endpoint's handling of its parameters. `null` is the same as omitting a parameter. */
export interface ParameterTable {
  /** Those that are read. */
  readonly supported: readonly string[];
  /** Names by which a server tells its users apart: texts, ignored in a browser. */
  readonly labels: readonly string[];
  /** Those that are not implemented, each with the values that change nothing: they pass. */
  readonly unsupported: Readonly<Record<string, readonly unknown[]>>;
}

/** Advice for a refused parameter that another one replaces. */
const INSTEAD: Readonly<Record<string, string>> = {
  cache_salt: 'tabserve.cache_salt is the same.',
  chat_template: 'createClient takes a chatTemplate.',
  priority: 'tabserve.priority is the same.',
};

/** Parameters of both endpoints, OpenAI's and vLLM's, that are not implemented. */
export const SHARED_UNSUPPORTED: ParameterTable['unsupported'] = {
  allowed_token_ids: [],
  bad_words: [[]],
  cache_salt: [],
  ignore_eos: [false],
  include_stop_str_in_output: [false],
  kv_transfer_params: [],
  length_penalty: [1],
  logits_processors: [],
  min_tokens: [0],
  priority: [0],
  prompt_logprobs: [],
  request_id: [],
  response_format: [{ type: 'text' }],
  return_token_ids: [false],
  return_tokens_as_token_ids: [false],
  skip_special_tokens: [true],
  spaces_between_special_tokens: [true],
  stop_token_ids: [[]],
  structured_outputs: [],
  truncate_prompt_tokens: [],
  use_beam_search: [false],
  vllm_xargs: [],
  // vLLM has taken these out
  guided_choice: [],
  guided_grammar: [],
  guided_json: [],
  guided_regex: [],
};

/**
 * Refuses each parameter that would have no effect: none is ignored silently.
 *
 * @throws TabserveError `unsupported_parameter` for a parameter of OpenAI's or vLLM's that is not implemented and set
 *   to something other than its default; `invalid_request` for one that neither has
 */
export function refuseUnsupported(body: Body, { supported, labels, unsupported }: ParameterTable): void {
  for (const [param, value] of Object.entries(body)) {
    if (value === undefined || value === null) continue;
    const passing = Object.hasOwn(unsupported, param) ? unsupported[param] : undefined;
    if (passing !== undefined) refuseUnless(passing, value, param);
    else if (labels.includes(param)) requireText(value, param);
    else if (!supported.includes(param)) {
      throw invalid(`Unknown parameter "${param}". Supported: ${supported.join(', ')}.`, param);
    }
  }
}

function refuseUnless(passing: readonly unknown[], value: unknown, param: string): void {
  const given = JSON.stringify(value);
  if (passing.some((each) => typeof each === typeof value && JSON.stringify(each) === given)) return;
  const instead = Object.hasOwn(INSTEAD, param) ? ` ${INSTEAD[param]}` : '';
  throw new TabserveError('unsupported_parameter', `"${param}" is not supported yet; leave it out.${instead}`, { param });
}

function requireText(value: unknown, param: string): void {
  if (typeof value !== 'string') throw invalid(`"${param}" must be a text.`, param);
}
