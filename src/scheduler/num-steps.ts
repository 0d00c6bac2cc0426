import type { RunningRequest } from './request-state.ts';

/** How many blocks `numTokens` tokens take. */
export function numBlocksFor(numTokens: number, blockSize: number): number {
  return Math.ceil(numTokens / blockSize);
}

/** How many blocks a request lacks for `numTokens` more tokens to be computed. */
export function numMissingBlocks(running: RunningRequest, numTokens: number, blockSize: number): number {
  return Math.max(0, numBlocksFor(running.numComputedTokens + numTokens, blockSize) - running.blockTable.length);
}

/**
 * How many decode steps a batch of decoding requests can take without the scheduler: none ends by its length before
 * the last step, and the free blocks are enough for all (taking steps ahead is never worth a preemption).
 *
 * @param batch requests that each have one token to feed; at least one request.
 * @returns at least 1, at most `maxSteps`.
 */
export function chooseNumSteps(
  batch: readonly RunningRequest[],
  maxSteps: number,
  numFreeBlocks: number,
  blockSize: number,
): number {
  const remaining = batch.map(({ state }) => state.maxNumTokens - state.tokenIds.length);
  let numSteps = Math.min(maxSteps, ...remaining);
  const missing = (steps: number): number =>
    batch.reduce((sum, running) => sum + numMissingBlocks(running, steps, blockSize), 0);
  while (numSteps > 1 && missing(numSteps) > numFreeBlocks) numSteps--;
  return numSteps;
}
