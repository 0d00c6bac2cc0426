/** How tokens are sampled: parameters of a request, with OpenAI's and vLLM's names and meanings. `null` is the same as absent. */
export interface SamplingParameters {
  /** 0 (greedy) to 2. @default 1 */
  readonly temperature?: number | null;
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
}

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

/** `top_p` as `topP`. */
type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Name;

/** Parameters of a request as the engine has them: under the same names in camel case, and absent for `null`. */
export type EngineParameters<Parameters> = {
  readonly [Name in keyof Parameters & string as CamelCase<Name>]?: Exclude<Parameters[Name], null | undefined> | undefined;
};
