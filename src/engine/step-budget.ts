import type { PlanLimits, SchedulerConfig, SchedulerOutput } from '../core/scheduler-output.ts';
import { type PlanWork, StepCost, workOf } from './step-cost.ts';

/** What a step may have however slow the adapter is: with less it would take hardly less time. */
const MIN_TOKENS = 32;

/** What the next step will find, as the last one left it. */
interface Outlook {
  /** Keys that a token fed next will read, but for those fed before it in its own step. */
  readonly context: number;
  /** A step in which each request decodes. */
  readonly decode: PlanWork;
  /** Decode steps that may be tried. */
  readonly maxSteps: number;
}

/**
 * How much a plan may hold so that it is expected to take no longer than a given time: so the GPU is free for the page's
 * frames, no watchdog sees a long submit, and a new request waits for no long plan.
 *
 * Down at once: a plan that took twice what was expected makes the next expectation twice as long. Up with care: never
 * beyond twice the largest step that has been measured, nor twice the decode steps of the last plan. It decides on chunks and look-ahead only, never on a result.
 */
export class StepBudget {
  readonly #cost = new StepCost();
  readonly #minTokens: number;
  readonly #maxTokens: number;
  readonly #maxSteps: number;
  readonly #maxPlanMs: number;
  #outlook: Outlook = { context: 0, decode: { steps: 1, rows: 1, attended: 1 }, maxSteps: 1 };

  /** @param maxPlanMs milliseconds a plan, where the least that a step may have does not take longer. */
  constructor(
    { maxNumBatchedTokens, maxNumSeqs, maxStepsPerPlan }: SchedulerConfig,
    maxPlanMs: number,
  ) {
    this.#maxTokens = maxNumBatchedTokens;
    this.#minTokens = Math.min(Math.max(MIN_TOKENS, maxNumSeqs), maxNumBatchedTokens); // every slot can decode
    this.#maxSteps = maxStepsPerPlan;
    this.#maxPlanMs = maxPlanMs;
  }

  /** For the next plan. */
  limits(): PlanLimits {
    return { tokenBudget: this.#tokenBudget(), maxSteps: this.#numSteps() };
  }

  /** Learns from a plan. @param ms from its scheduling to its ids. */
  record(plan: SchedulerOutput, ms: number): void {
    this.#cost.record(workOf(plan), ms);
    const { requests, numSteps, totalNumScheduledTokens } = plan;
    const ends = requests.map(({ startPosition, tokenIds }) => startPosition + tokenIds.length + numSteps - 1);
    // Who had most of this step has most of the next one.
    const weighted = requests.reduce((sum, { tokenIds }, i) => sum + tokenIds.length * (ends[i] ?? 0), 0);
    const attended = ends.reduce((sum, end) => sum + end + 1, 0);
    const context = weighted / totalNumScheduledTokens;
    const isDecode = totalNumScheduledTokens === requests.length;
    const maxSteps = isDecode ? Math.min(2 * numSteps, this.#maxSteps) : 1;
    this.#outlook = { context, decode: { steps: 1, rows: requests.length, attended }, maxSteps };
  }

  /** Milliseconds that the next plan is expected to take if it is a step of so many tokens; 0 while nothing is known. */
  expect(numTokens: number): number {
    const attended = numTokens * this.#outlook.context + (numTokens * (numTokens + 1)) / 2;
    return this.#cost.expect({ steps: 1, rows: numTokens, attended });
  }

  /** The most that is expected to fit; by bisection, since more takes longer. */
  #tokenBudget(): number {
    let fits = this.#minTokens;
    let limit = Math.max(fits, Math.min(this.#maxTokens, 2 * this.#cost.largestStep));
    while (fits < limit) {
      const middle = Math.ceil((fits + limit) / 2);
      if (this.expect(middle) <= this.#maxPlanMs) fits = middle;
      else limit = middle - 1;
    }
    return fits;
  }

  #numSteps(): number {
    const { decode, maxSteps } = this.#outlook;
    const fitting = Math.floor(this.#maxPlanMs / this.#cost.expect(decode));
    return Math.max(1, Math.min(maxSteps, fitting));
  }
}
