import { numPartialsAt } from '../core/partials.ts';
import type { SchedulerConfig } from '../core/scheduler-output.ts';
import type { RequestState } from './request-state.ts';

/** The limit of a step's partial results of attention, of which a row has one for each split of its context. */
export type PartialLimits = Pick<SchedulerConfig, 'splitTokens' | 'maxNumPartials'>;

/**
 * The partial results that a request needs in a step to come: those of its last known token's row, `numAhead` decode steps from
 * now. Its other rows have no more each, so with as many it makes progress.
 */
export function numReserved({ tokenIds }: RequestState, { splitTokens = Infinity }: PartialLimits, numAhead = 0): number {
  return numPartialsAt(tokenIds.length - 1 + numAhead, splitTokens);
}

/** Whether a step has room for one row of each of these requests, `numAhead` decode steps from now. */
export function haveRoom(states: readonly RequestState[], limits: PartialLimits, numAhead = 0): boolean {
  const { maxNumPartials = Infinity } = limits;
  return states.reduce((sum, state) => sum + numReserved(state, limits, numAhead), 0) <= maxNumPartials;
}
