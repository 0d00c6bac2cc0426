/** How a model's publisher recommends to sample it, as parameters of a request; what is absent is not recommended. */
export interface RecommendedSampling {
  /** From 0 (greedy) to 2. */
  readonly temperature?: number;
  /** Above 0, up to 1. */
  readonly top_p?: number;
  /** Tokens; 0 keeps all. */
  readonly top_k?: number;
  /** From 0 to 1. */
  readonly min_p?: number;
  /** From 0.01 to 100; 1 changes nothing. */
  readonly repetition_penalty?: number;
}
