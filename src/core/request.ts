import type { SerializedError } from './errors.ts';
import type { EngineParameters, SamplingParameters, TabserveExtension } from './request-parameters.ts';

/**
 * The transformations of a token's logits before the draw, with vLLM's meanings and order; an omitted one is off. First
 * logit_bias and the penalties (a greedy draw takes the largest result), then the temperature, then the filters, each
 * on the tokens that the previous one leaves: min_p, top_k, top_p. Tokens that tie with the last one kept are kept as
 * well, and the most likely one always is.
 */
export interface LogitsParams extends EngineParameters<Omit<SamplingParameters, 'temperature' | 'logit_bias'>> {
  /** Added to tokens' logits; each token once, at most {@link MAX_LOGIT_BIASES} of them. @default none */
  readonly logitBias?: readonly (readonly [tokenId: number, bias: number])[] | undefined;
}

/** How a request is served beside others. `timeoutMs` counts from the tab's call on; in a worker, from the request's arrival. */
export type SchedulingOptions = EngineParameters<TabserveExtension>;

/** The tokens that one request's logit_bias may name. As OpenAI and vLLM have it. */
export const MAX_LOGIT_BIASES = 1024;

/** Characters of a cache salt or of a name that requests supersede one another by: it is compared for each block of a prompt. */
export const MAX_KEY_CHARS = 1024;

/** Whether a token's logits depend on how often it came before. */
export function isPenalised(params: LogitsParams): boolean {
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = params;
  return repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
}

/** How a choice is sampled: a pure function of the logits, the tokens so far and (seed, choice, position). */
export interface SamplingParams extends LogitsParams {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 32 bits, unsigned. */
  readonly seed: number;
  /** At most this many tokens are generated; at least 1. */
  readonly maxTokens: number;
  /** Generation ends when one of these is sampled; that token is emitted as the last one. */
  readonly stopTokenIds: readonly number[];
}

/** A request as the engine sees it: token ids in, token ids out. Plain data. */
export interface EngineRequest extends Omit<SchedulingOptions, 'timeoutMs'> {
  /** Unique within the engine. */
  readonly requestId: string;
  /** The session (a tab) it belongs to. */
  readonly sessionId: string;
  /** Which choice of its client request this is; part of the sampling seed. */
  readonly choice: number;
  readonly promptTokenIds: readonly number[];
  readonly sampling: SamplingParams;
  /** When it reached the engine, in the engine clock's milliseconds. */
  readonly arrivalTime: number;
  /** When it ends, done or not, in the engine clock's milliseconds. @default never */
  readonly deadline?: number | undefined;
  /** The completion of which it is one of several choices: they do not supersede each other. @default its own id */
  readonly completionId?: string | undefined;
  /** Whether its session allows that the KV of its prompt and answer is kept in storage. @default false */
  readonly persistPrefix?: boolean | undefined;
  /**
   * The tokens generated before its engine was lost: computed like a prompt, and not emitted again. The request was
   * queued before, so no limit of the queue refuses it.
   * @default none
   */
  readonly outputTokenIds?: readonly number[] | undefined;
}

/** Why a request ended. `length`: its maxTokens or the context was reached. */
export type FinishReason = 'stop' | 'length' | 'abort';

/** The output of one engine step for one request. */
export interface RequestOutput {
  readonly requestId: string;
  /** In order; may be empty only together with a finish. */
  readonly newTokenIds: readonly number[];
  readonly finishReason: FinishReason | undefined;
  /** Engine-clock milliseconds; `firstScheduledTime` is when the request left the queue. */
  readonly firstScheduledTime: number;
  /**
   * How many of the prompt's tokens were not computed, because their KV was in the prefix cache: of blocks that its own
   * session's requests have computed or found before, or that come from storage. Other sessions' are used, and not counted.
   */
  readonly numCachedTokens: number;
  /** Why it was aborted, where not its caller, nor the caller's session, did it. */
  readonly error?: SerializedError | undefined;
}
