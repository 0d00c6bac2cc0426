import { isPenalised } from '../core/request.ts';
import { LAST_SAMPLED, type ScheduledRequest, type SchedulerOutput, type TokenHistory } from '../core/scheduler-output.ts';
import { numUncomputedTokens } from './request-state.ts';
import type { RunningRequest } from './request-state.ts';

/** A running request and the number of tokens that the plan feeds it. */
export interface Share {
  readonly running: RunningRequest;
  readonly numScheduledTokens: number;
}

/** The shares of a step's token budget, while the step is being planned. */
export class StepShares {
  readonly #tokens = new Map<RunningRequest, number>();
  #budget: number;

  /** @param budget tokens of a step. */
  constructor(budget: number) {
    this.#budget = budget;
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
   * long for it.
   */
  give(running: RunningRequest, othersFollow: boolean): void {
    const wanted = numUncomputedTokens(running);
    const limit = wanted >= this.#budget && othersFollow ? Math.ceil(this.#budget / 2) : this.#budget;
    this.#add(running, Math.min(wanted, limit));
  }

  /** Takes a share back: its request has been preempted. */
  takeBack(running: RunningRequest): void {
    this.#budget += this.#tokens.get(running) ?? 0;
    this.#tokens.delete(running);
  }

  /** Gives the remaining budget to requests with a partial share, first come, first served. */
  spendTheRest(): void {
    for (const [running, numTokens] of this.#tokens) {
      this.#add(running, Math.min(numUncomputedTokens(running) - numTokens, this.#budget));
    }
  }

  #add(running: RunningRequest, numTokens: number): void {
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
