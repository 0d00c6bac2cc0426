import { isPenalised } from '../core/request.ts';
import { LAST_SAMPLED, type ScheduledRequest, type SchedulerOutput, type TokenHistory } from '../core/scheduler-output.ts';
import { numPartialsOf, numRowsWithin } from '../core/partials.ts';
import { numReserved, type PartialLimits } from './partials.ts';
import { numUncomputedTokens } from './request-state.ts';
import type { RequestState, RunningRequest } from './request-state.ts';

/** A running request and the number of tokens that the plan feeds it. */
export interface Share {
  readonly running: RunningRequest;
  readonly numScheduledTokens: number;
}

/** The shares of a step's token budget, and of its room for partial results of attention, while the step is being planned. */
export class StepShares {
  readonly #tokens = new Map<RunningRequest, number>();
  readonly #splitTokens: number;
  #budget: number;
  /** The partial results that there is room for yet. */
  #numPartials: number;

  /** @param budget tokens of a step. */
  constructor(budget: number, { splitTokens = Infinity, maxNumPartials = Infinity }: PartialLimits = {}) {
    this.#budget = budget;
    this.#splitTokens = splitTokens;
    this.#numPartials = maxNumPartials;
  }

  /** The remaining budget. */
  get budget(): number {
    return this.#budget;
  }

  /** In the order in which they were given. */
  get all(): readonly Share[] {
    return Array.from(this.#tokens, ([running, numScheduledTokens]) => ({ running, numScheduledTokens }));
  }

  /**
   * Gives a request the tokens that it lacks. One that lacks all of the remaining budget, or more, gets half of it
   * while others follow. So a short prompt does not wait for the last chunk of a long one, which takes at most twice as
   * long for it. The room for partial results is shared likewise, but one row gets what it needs.
   */
  give(running: RunningRequest, othersFollow: boolean): void {
    const wanted = numUncomputedTokens(running);
    const limit = wanted >= this.#budget && othersFollow ? Math.ceil(this.#budget / 2) : this.#budget;
    const numTokens = Math.min(wanted, limit);
    const fitting = this.#fitting(running, numTokens);
    if (fitting === numTokens || !othersFollow) this.#add(running, fitting);
    else this.#add(running, Math.max(Math.min(1, fitting), this.#fitting(running, numTokens, this.#numPartials / 2)));
  }

  /** Whether there is budget, and room for any one row of this request. */
  canTake(state: RequestState): boolean {
    return this.#budget > 0 && numReserved(state, { splitTokens: this.#splitTokens }) <= this.#numPartials;
  }

  /** Takes a share back: its request has been preempted. */
  takeBack(running: RunningRequest): void {
    const numTokens = this.#tokens.get(running) ?? 0;
    this.#budget += numTokens;
    this.#numPartials += numPartialsOf(running.numComputedTokens, numTokens, this.#splitTokens);
    this.#tokens.delete(running);
  }

  /** Gives the remaining budget to requests with a partial share, first come, first served. */
  spendTheRest(): void {
    for (const [running, numTokens] of this.#tokens) {
      this.#add(running, this.#fitting(running, Math.min(numUncomputedTokens(running) - numTokens, this.#budget)));
    }
  }

  /** How many of a request's next `numTokens` tokens there is room for. */
  #fitting(running: RunningRequest, numTokens: number, numPartials = this.#numPartials): number {
    return numRowsWithin(this.#endOf(running), numTokens, this.#splitTokens, numPartials);
  }

  /** The position of the first token that a request is not given yet. */
  #endOf(running: RunningRequest): number {
    return running.numComputedTokens + (this.#tokens.get(running) ?? 0);
  }

  #add(running: RunningRequest, numTokens: number): void {
    this.#numPartials -= numPartialsOf(this.#endOf(running), numTokens, this.#splitTokens);
    if (numTokens > 0) this.#tokens.set(running, (this.#tokens.get(running) ?? 0) + numTokens);
    this.#budget -= numTokens;
  }
}

/** The shares in the runner's form: plain data, a copy of the current state. */
export function toSchedulerOutput(shares: readonly Share[], numSteps: number): SchedulerOutput {
  const totalNumScheduledTokens = shares.reduce((sum, { numScheduledTokens }) => sum + numScheduledTokens, 0);
  return { numSteps, requests: shares.map(toScheduledRequest), totalNumScheduledTokens };
}

/** Decode steps behind plans in flight that feed, and sample, `numAhead` tokens of each request. */
export function toPlanAhead(batch: readonly RunningRequest[], numSteps: number, numAhead: number): SchedulerOutput {
  const requests = batch.map(({ state, slot, blockTable, numComputedTokens }) => ({
    requestId: state.request.requestId,
    slot,
    tokenIds: [LAST_SAMPLED],
    startPosition: numComputedTokens + numAhead,
    blockTable: [...blockTable],
    samples: true,
    sampling: state.sampling,
  }));
  return { numSteps, requests, totalNumScheduledTokens: requests.length };
}

function toScheduledRequest({ running, numScheduledTokens }: Share): ScheduledRequest {
  const { state, slot, blockTable, numComputedTokens } = running;
  const end = numComputedTokens + numScheduledTokens;
  return {
    requestId: state.request.requestId,
    slot,
    tokenIds: state.tokenIds.slice(numComputedTokens, end),
    startPosition: numComputedTokens,
    blockTable: [...blockTable],
    samples: end === state.tokenIds.length,
    sampling: state.sampling,
    history: end === state.tokenIds.length ? historyFor(running) : undefined,
  };
}

/** The request's tokens, where the runner needs them to sample and does not know them yet. */
function historyFor({ state, hasSampled }: RunningRequest): TokenHistory | undefined {
  const { sampling, tokenIds, request } = state;
  const isKept = isPenalised(sampling) || (sampling.logitBias ?? []).length > 0;
  if (hasSampled || !isKept) return undefined;
  return { tokenIds: [...tokenIds], numPromptTokens: request.promptTokenIds.length };
}
