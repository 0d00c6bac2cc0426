import type { RequestTimings } from '../core/metrics.ts';
import type { SamplingParameters, TabserveExtension } from '../core/request-parameters.ts';

/**
 * The parameters that all completions share. Others of OpenAI's and vLLM's are refused with `unsupported_parameter`, none is
 * ignored. A value that changes nothing passes, as `null` does: `bad_words: []`, `ignore_eos: false`,
 * `include_stop_str_in_output: false`, `length_penalty: 1`, `min_tokens: 0`, `priority: 0`,
 * `response_format: { type: 'text' }`, `return_token_ids: false`, `return_tokens_as_token_ids: false`,
 * `skip_special_tokens: true`, `spaces_between_special_tokens: true`, `stop_token_ids: []`, `use_beam_search: false`.
 */
export interface CompletionParams extends SamplingParameters {
  /** The loaded model's id, or nothing. */
  readonly model?: string | null;
  /** Taken modulo 2^32. The same seed, model and adapter give the same text. @default random */
  readonly seed?: number | null;
  /** Up to four texts at which generation ends; they are not part of the answer. */
  readonly stop?: string | readonly string[] | null;
  /** How many answers to generate, 1 to 16, each with draws of its own. The prompt is computed once. @default 1 */
  readonly n?: number | null;
  /** An extension of tabserve's. */
  readonly tabserve?: TabserveExtension | null;
  /** Ignored: a server tells its users apart by it, and there is no server here. */
  readonly user?: string | null;
}

/** Options of a stream. */
export interface StreamOptions {
  /** Whether token counts and timings come in a chunk after the last. @default false */
  readonly include_usage?: boolean | null;
  /** No chunk is padded. @default false */
  readonly include_obfuscation?: false | null;
  /** No other chunk has token counts. @default false */
  readonly continuous_usage_stats?: false | null;
}

/** `stop`: the model ended its answer or met a stop string. `length`: `max_tokens` or the context was reached. */
export type CompletionFinishReason = 'stop' | 'length';

/** Token counts as OpenAI reports them, and what the request's time went into. */
export interface CompletionUsage {
  readonly prompt_tokens: number;
  /** Absent where the answer was ended before its end. */
  readonly prompt_tokens_details?: {
    /**
     * Those not computed, because an earlier request of this client began with the same ones, or because they were restored
     * from storage. Other clients' are used as well, and counted in `metrics().prefixCacheHits` alone.
     */
    readonly cached_tokens: number;
  };
  /** Includes the end-of-turn token, as vLLM counts. */
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** An extension of tabserve's. */
  readonly tabserve: RequestTimings;
}
