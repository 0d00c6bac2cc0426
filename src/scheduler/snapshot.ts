import type { SchedulerConfig } from '../core/scheduler-output.ts';
import type { BlockPoolSnapshot, SchedulerSnapshot } from '../core/snapshot.ts';
import type { RequestState } from './request-state.ts';
import type { RunningBatch } from './running-batch.ts';

/** The current owners of all blocks. A request that ended in flight is included for as long as it holds blocks. */
export function takeSnapshot(
  config: SchedulerConfig,
  batch: RunningBatch,
  waiting: Iterable<RequestState>,
): SchedulerSnapshot {
  const running = batch.holders.map(({ state, blockTable, numComputedTokens }) => ({
    ...identify(state),
    state: 'running' as const,
    numTokens: state.tokenIds.length,
    // A request that ended before its plan may have more computed tokens than tokens.
    numComputedTokens: Math.min(numComputedTokens, state.tokenIds.length),
    blockTable: [...blockTable],
  }));
  const queued = Array.from(waiting, (state) => ({
    ...identify(state),
    state: 'waiting' as const,
    numTokens: state.tokenIds.length,
    numComputedTokens: 0,
    blockTable: [],
  }));
  return { requests: [...running, ...queued], maxNumSeqs: config.maxNumSeqs, pool: snapshotPool(config, batch) };
}

function identify({ request: { requestId, sessionId } }: RequestState) {
  return { requestId, sessionId };
}

function snapshotPool({ blockSize }: SchedulerConfig, batch: RunningBatch): BlockPoolSnapshot {
  const { pool } = batch;
  const cachedFree: number[] = [];
  const shared: { block: number; refCount: number }[] = [];
  for (let block = 0; block < pool.numBlocks; block++) {
    const refCount = pool.refCount(block);
    if (refCount > 1) shared.push({ block, refCount });
    else if (refCount === 0 && batch.isFindable(block)) cachedFree.push(block);
  }
  return { numBlocks: pool.numBlocks, blockSize, numFree: pool.numFree, cachedFree, shared };
}
