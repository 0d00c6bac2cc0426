import type { RequestTimings } from '../core/metrics.ts';

/** How a request is served beside others: tabserve's own parameters. */
export interface TabserveExtension {
  /** A whole number, lower is served earlier: before any request of a higher one, of whichever tab. @default 0 */
  readonly priority?: number | null;
  /** After this many milliseconds the request ends with a `deadline_exceeded` error, done or not. @default never */
  readonly timeout_ms?: number | null;
  /** A newer request of this client with the same key ends this one with an `aborted` error. For autocompletion. */
  readonly supersede?: string | null;
  /** Only requests of the same salt share the KV of a common beginning. @default the client's `cacheSalt`; all without one share */
  readonly cache_salt?: string | null;
}

/**
 * The parameters that all completions share. Others of OpenAI's and vLLM's are refused with `unsupported_parameter`, none is
 * ignored. A value that changes nothing passes, as `null` does: `bad_words: []`, `ignore_eos: false`,
 * `include_stop_str_in_output: false`, `length_penalty: 1`, `min_tokens: 0`, `priority: 0`,
 * `response_format: { type: 'text' }`, `return_token_ids: false`, `return_tokens_as_token_ids: false`,
 * `skip_special_tokens: true`, `spaces_between_special_tokens: true`, `stop_token_ids: []`, `use_beam_search: false`.
 */
export interface CompletionParams {
  /** The loaded model's id, or nothing. */
  readonly model?: string | null;
  /** 0 (greedy) to 2. @default 1 */
  readonly temperature?: number | null;
  /** Taken modulo 2^32. The same seed, model and adapter give the same text. @default random */
  readonly seed?: number | null;
  /** Up to four texts at which generation ends; they are not part of the answer. */
  readonly stop?: string | readonly string[] | null;
  /** How many answers to generate, 1 to 16, each with draws of its own. The prompt is computed once. @default 1 */
  readonly n?: number | null;
  /**
   * Draws from the most likely tokens that together have this share of the probability; above 0, at most 1. Tokens as
   * likely as the last of them count as well, here and in `top_k`. @default 1, all
   */
  readonly top_p?: number | null;
  /** Draws from the `top_k` most likely tokens; an integer, 0 or -1 for all. As in vLLM. @default all */
  readonly top_k?: number | null;
  /** Draws from tokens whose probability is at least `min_p` times that of the most likely one; 0 to 1. As in vLLM. @default 0, all */
  readonly min_p?: number | null;
  /** Above 1: tokens of the prompt or the answer become less likely. 0.01 to 100. As in vLLM. @default 1 */
  readonly repetition_penalty?: number | null;
  /** Taken off the logit of each token that the answer has; -2 to 2. @default 0 */
  readonly presence_penalty?: number | null;
  /** Taken off the logit of a token for each time that the answer has it; -2 to 2. @default 0 */
  readonly frequency_penalty?: number | null;
  /** Added to the logits of tokens, by id; -100 to 100, of 1024 tokens at most. @default none */
  readonly logit_bias?: Readonly<Record<string, number>> | null;
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
