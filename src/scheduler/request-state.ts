import type { SerializedError } from '../core/errors.ts';
import type { EngineRequest, FinishReason, RequestOutput } from '../core/request.ts';
import type { ScheduledRequest } from '../core/scheduler-output.ts';
import type { BlockHash } from './block-hash.ts';
import type { CachedBlock } from './prefix-cache.ts';

/** What is known of a request for as long as it lives, waiting or running. Preemption leaves it as it is. */
export interface RequestState {
  readonly request: EngineRequest;
  /** The prompt, then the output; its length is `numTokens`. Grows. */
  readonly tokenIds: number[];
  /** `tokenIds` ends here: maxTokens or the context is reached, whichever comes first. */
  readonly maxNumTokens: number;
  readonly sampling: ScheduledRequest['sampling'];
  /** Lower is served earlier. */
  readonly priority: number;
  /** How many requests had come before it. */
  readonly serial: number;
  readonly cacheSalt: string;
  /** The chained hashes of its first full blocks, as far as they were needed. Grows. */
  readonly blockHashes: BlockHash[];
  /** When it first left the queue, in the engine clock's milliseconds; `undefined` while it never has. */
  firstScheduledTime: number | undefined;
  /** How many of its prompt's tokens were in the prefix cache when it first left the queue, as far as its session may be told. */
  numCachedTokens: number;
}

/** A request while it runs. What a waiting one has no slot, no blocks and no computed tokens for lives here alone. */
export interface RunningRequest {
  readonly state: RequestState;
  readonly slot: number;
  /** Block ids in sequence order. Grows. */
  readonly blockTable: number[];
  /** What the first blocks of the table hold for others to find: all full blocks whose KV is computed. Grows. */
  readonly cached: CachedBlock[];
  /** How many of the leading `tokenIds` have their KV in the blocks, by the plans that are done. */
  numComputedTokens: number;
  /** Whether it has sampled since it got its slot: then the runner knows its tokens. */
  hasSampled: boolean;
  /** When it first left the queue: an earlier run, ended by preemption, counts. */
  readonly firstScheduledTime: number;
}

/**
 * @param maxModelLen tokens a sequence may have, prompt and output.
 * @param serial how many requests have come before it.
 */
export function createRequestState(request: EngineRequest, maxModelLen: number, serial: number): RequestState {
  const { promptTokenIds, outputTokenIds = [], sampling, choice } = request;
  const { maxTokens, stopTokenIds: _, ...draw } = sampling;
  return {
    request,
    tokenIds: [...promptTokenIds, ...outputTokenIds],
    maxNumTokens: Math.min(promptTokenIds.length + maxTokens, maxModelLen),
    sampling: { ...draw, choice },
    priority: request.priority ?? 0,
    serial,
    cacheSalt: request.cacheSalt ?? '',
    blockHashes: [],
    firstScheduledTime: undefined,
    numCachedTokens: 0,
  };
}

/** How many tokens still have to be fed before the next one can be sampled. */
export function numUncomputedTokens(running: RunningRequest): number {
  return running.state.tokenIds.length - running.numComputedTokens;
}

/** The part of the sampled ids that counts, and whether it ends the request. */
export interface Accepted {
  readonly newTokenIds: readonly number[];
  readonly finishReason: Exclude<FinishReason, 'abort'> | undefined;
}

/** Appends sampled ids to the request's tokens, up to and including the one that ends it; the rest is overshoot. */
export function acceptTokens(state: RequestState, sampledTokenIds: readonly number[]): Accepted {
  const { stopTokenIds } = state.request.sampling;
  const newTokenIds: number[] = [];
  for (const id of sampledTokenIds) {
    newTokenIds.push(id);
    state.tokenIds.push(id);
    if (stopTokenIds.includes(id)) return { newTokenIds, finishReason: 'stop' };
    if (state.tokenIds.length >= state.maxNumTokens) return { newTokenIds, finishReason: 'length' };
  }
  return { newTokenIds, finishReason: undefined };
}

/** The final output of a request that is aborted; one that never ran left the queue `now`. */
export function abortedOutput(state: RequestState, now: number, error: SerializedError | undefined): RequestOutput {
  return {
    requestId: state.request.requestId,
    newTokenIds: [],
    finishReason: 'abort',
    firstScheduledTime: state.firstScheduledTime ?? now,
    numCachedTokens: state.numCachedTokens,
    error,
  };
}
