import type { SchedulerConfig } from '../core/scheduler-output.ts';
import { haveRoom } from './partials.ts';
import type { RunningRequest } from './request-state.ts';

/** The number of blocks for `numTokens` tokens. */
export function numBlocksFor(numTokens: number, blockSize: number): number {
  return Math.ceil(numTokens / blockSize);
}

/** The number of blocks that a request lacks to compute `numTokens` more tokens. */
export function numMissingBlocks(running: RunningRequest, numTokens: number, blockSize: number): number {
  return Math.max(0, numBlocksFor(running.numComputedTokens + numTokens, blockSize) - running.blockTable.length);
}

/**
 * The number of decode steps that a batch of decoding requests can take in one plan: none reaches its length before the
 * last step, and the free blocks and the room for partial results suffice for all (steps ahead are never worth a preemption).
 *
 * @param batch requests that each have one token to feed; at least one request.
 * @param numAhead steps that plans in flight take with all of them.
 * @returns at most `maxSteps`; 0 where a length ends within the plans in flight, or too few blocks are free for one
 *   step, or it has too little room for partial results.
 */
export function chooseNumSteps(
  batch: readonly RunningRequest[],
  maxSteps: number,
  numFreeBlocks: number,
  config: Pick<SchedulerConfig, 'blockSize' | 'splitTokens' | 'maxNumPartials'>,
  numAhead = 0,
): number {
  const states = batch.map(({ state }) => state);
  const remaining = states.map((state) => state.maxNumTokens - state.tokenIds.length - numAhead);
  let numSteps = Math.min(maxSteps, ...remaining);
  const missing = (steps: number): number =>
    batch.reduce((sum, running) => sum + numMissingBlocks(running, numAhead + steps, config.blockSize), 0);
  const fits = (steps: number): boolean => missing(steps) <= numFreeBlocks && haveRoom(states, config, numAhead + steps - 1);
  while (numSteps > 0 && !fits(numSteps)) numSteps--;
  return numSteps;
}
