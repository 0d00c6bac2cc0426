import type { SerializedError } from '../core/errors.ts';
import type { EngineRequest, FinishReason, RequestOutput } from '../core/request.ts';
import type { ScheduledRequest } from '../core/scheduler-output.ts';
import type { BlockHash } from './block-hash.ts';
import type { CachedBlock } from './prefix-cache.ts';

/** A request's state from its arrival to its end, waiting or running. Preemption does not change it. */
export interface RequestState {
  readonly request: EngineRequest;
  /** The prompt, then the output; its length is `numTokens`. Append-only. */
  readonly tokenIds: number[];
  /** The final length of `tokenIds`: by maxTokens or the context, whichever comes first. */
  readonly maxNumTokens: number;
  readonly sampling: ScheduledRequest['sampling'];
  /** Lower is served earlier. */
  readonly priority: number;
  /** The number of requests that came before it. */
  readonly serial: number;
  readonly cacheSalt: string;
  /** The chained hashes of its first full blocks, computed when needed. Append-only. */
  readonly blockHashes: BlockHash[];
  /** When it first left the queue, in the engine clock's milliseconds; `undefined` before. */
  firstScheduledTime: number | undefined;
  /** The number of prompt tokens in the prefix cache when it first left the queue, as far as its session may know. */
  numCachedTokens: number;
}

/** A running request: the state that a waiting one does not have, such as slot, blocks and computed tokens. */
export interface RunningRequest {
  readonly state: RequestState;
  readonly slot: number;
  /** Block ids in sequence order. Append-only. */
  readonly blockTable: number[];
  /** The cache entries of the first blocks of the table: of all full blocks whose KV is computed. Append-only. */
  readonly cached: CachedBlock[];
  /** The number of leading `tokenIds` with their KV in the blocks, by the completed plans. */
  numComputedTokens: number;
  /** Whether it has sampled in this slot: then the runner knows its tokens. */
  hasSampled: boolean;
  /** When it first left the queue, including an earlier run that was preempted. */
  readonly firstScheduledTime: number;
}

/**
 * @param maxModelLen the most tokens of a sequence, prompt and output.
 * @param serial the number of requests that came before it.
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

/** The number of tokens to feed before the next one can be sampled. */
export function numUncomputedTokens(running: RunningRequest): number {
  return running.state.tokenIds.length - running.numComputedTokens;
}

/** The sampled ids that count, and whether they end the request. */
export interface Accepted {
  readonly newTokenIds: readonly number[];
  readonly finishReason: Exclude<FinishReason, 'abort'> | undefined;
}

/** Appends sampled ids to the request's tokens, up to and including the one that ends it. The rest is overshoot. */
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

/** The final output of a request that is aborted. A request that never ran has left the queue `now`. */
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
