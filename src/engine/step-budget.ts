import type { PlanLimits, SchedulerConfig, SchedulerOutput } from '../core/scheduler-output.ts';
import { type PlanWork, StepCost, workOf } from './step-cost.ts';

/** Results of plans that arrive within this many milliseconds of each other were delivered in one batch by the browser. */
const BATCH_MS = 0.5;

/** Tokens that a step has at least: fewer would hardly take less time. */
const MIN_TOKENS = 32;

/** But not where that takes longer than this, in milliseconds: after some seconds an operating system ends the work of a GPU. */
const LONG_STEP_MS = 500;

/** Tokens that a step then still has, beside those of the other requests. */
const LEAST_TOKENS = 8;

/** The next step's work, judged by the last step. */
interface Forecast {
  /** Keys that the next token reads, without those of tokens fed before it in its own step. */
  readonly context: number;
  /** The work of a step in which each request decodes. */
  readonly decode: PlanWork;
  /** Decode steps that may be tried. */
  readonly maxSteps: number;
}

/** A plan, or several whose results arrived together. */
interface Measurement {
  readonly work: PlanWork;
  readonly ms: number;
  readonly numPlans: number;
}

const NOTHING: Measurement = { work: { steps: 0, rows: 0, attended: 0 }, ms: 0, numPlans: 0 };

/**
 * The size of a plan that is expected to take no longer than a given time, alone and together with all plans in flight. So
 * the GPU is free for the page's frames, no watchdog sees a long submit, and a new request waits for no long plan.
 *
 * A plan behind another is timed from the other's results to its own. Some browsers deliver results only now and then
 * (Firefox every 100 ms). The results of several plans then arrive together and are one measurement. It measures the browser
 * more than the GPU, so while that lasts, plans are not made shorter for it.
 *
 * Shrinking is immediate: after a plan that took twice its expected time, the next expectation is twice as long. Growing is
 * gradual: at most twice the largest step measured, and twice the decode steps of the last plan. The budget affects chunks
 * and look-ahead only, never a result.
 */
export class StepBudget {
  readonly #cost = new StepCost();
  readonly #minTokens: number;
  readonly #leastTokens: number;
  readonly #maxTokens: number;
  readonly #maxSteps: number;
  readonly #maxPlanMs: number;
  readonly #maxPlansInFlight: number;
  /** The last plans, while results of others may still arrive together with theirs. */
  #held: Measurement | undefined;
  /** Whether a plan behind another has been measured. */
  #hasFollowed = false;
  /** Whether the results of the last such plans arrived together. */
  #isBatched = false;
  #forecast: Forecast = { context: 0, decode: { steps: 1, rows: 1, attended: 1 }, maxSteps: 1 };

  /** @param maxPlanMs the most milliseconds for the plans in flight; a plan of the smallest step may take longer */
  constructor(
    { maxNumBatchedTokens, minNumBatchedTokens = LEAST_TOKENS, maxNumSeqs, maxStepsPerPlan, maxPlansInFlight = 1 }: SchedulerConfig,
    maxPlanMs: number,
  ) {
    this.#maxTokens = maxNumBatchedTokens;
    this.#minTokens = Math.min(Math.max(MIN_TOKENS, maxNumSeqs), maxNumBatchedTokens); // every slot can decode
    this.#leastTokens = minNumBatchedTokens;
    this.#maxSteps = maxStepsPerPlan;
    this.#maxPlanMs = maxPlanMs;
    this.#maxPlansInFlight = maxPlansInFlight;
  }

  /** For the next plan. */
  limits(): PlanLimits {
    return { tokenBudget: this.#tokenBudget(), maxSteps: this.#numSteps() };
  }

  /** Whether a plan may follow those in flight. The first one always may, since only that shows how long it takes. */
  allowsAnother(numInFlight: number): boolean {
    if (numInFlight >= this.#maxPlansInFlight) return false;
    if (!this.#hasFollowed || this.#isBatched) return true;
    const { decode } = this.#forecast;
    return (numInFlight + 1) * this.#cost.expect(decode) <= this.#maxPlanMs;
  }

  /**
   * Learns from a plan. @param ms from its scheduling, or the results of the plan before it, to its own results.
   * @param isFollowed whether another plan is in flight behind it.
   */
  record(plan: SchedulerOutput, ms: number, isFollowed = false): void {
    this.#measure(workOf(plan), ms, isFollowed);
    const { requests, numSteps, totalNumScheduledTokens } = plan;
    const ends = requests.map(({ startPosition, tokenIds }) => startPosition + tokenIds.length + numSteps - 1);
    // Weighted by tokens: the request with most of this step's tokens will have most of the next one's.
    const weighted = requests.reduce((sum, { tokenIds }, i) => sum + tokenIds.length * (ends[i] ?? 0), 0);
    const attended = ends.reduce((sum, end) => sum + end + 1, 0);
    const context = weighted / totalNumScheduledTokens;
    const isDecode = totalNumScheduledTokens === requests.length;
    const maxSteps = isDecode ? Math.min(2 * numSteps, this.#maxSteps) : 1;
    this.#forecast = { context, decode: { steps: 1, rows: requests.length, attended }, maxSteps };
  }

  /** The expected milliseconds of the next plan if it is one step of `numTokens` tokens; 0 while nothing is known. */
  expect(numTokens: number): number {
    const attended = numTokens * this.#forecast.context + (numTokens * (numTokens + 1)) / 2;
    return this.#cost.expect({ steps: 1, rows: numTokens, attended });
  }

  #tokenBudget(): number {
    // A prompt goes on beside requests that decode.
    const least = Math.min(this.#minTokens, this.#leastTokens + this.#forecast.decode.rows - 1);
    const floor = this.#mostWithin(LONG_STEP_MS, least, this.#minTokens);
    return this.#mostWithin(this.#maxPlanMs, floor, Math.max(floor, Math.min(this.#maxTokens, 2 * this.#cost.largestStep)));
  }

  /** The most tokens, from `least` to `limit`, that are expected to take no longer; by bisection, since more take longer. */
  #mostWithin(ms: number, least: number, limit: number): number {
    while (least < limit) {
      const middle = Math.ceil((least + limit) / 2);
      if (this.expect(middle) <= ms) least = middle;
      else limit = middle - 1;
    }
    return least;
  }

  #measure(work: PlanWork, ms: number, isFollowed: boolean): void {
    const held = this.#held;
    const isBatched = held !== undefined && ms < BATCH_MS;
    if (held !== undefined) {
      this.#hasFollowed = true;
      this.#isBatched = isBatched || held.numPlans > 1;
      if (!isBatched) this.#cost.record(held.work, held.ms);
    }
    const before = isBatched ? held : NOTHING;
    const measured = { work: sumOf(before.work, work), ms: before.ms + ms, numPlans: before.numPlans + 1 };
    this.#held = isFollowed ? measured : undefined;
    if (!isFollowed) this.#cost.record(measured.work, measured.ms);
  }

  #numSteps(): number {
    const { decode, maxSteps } = this.#forecast;
    if (this.#isBatched) return maxSteps;
    const fitting = Math.floor(this.#maxPlanMs / (this.#maxPlansInFlight * this.#cost.expect(decode)));
    return Math.max(1, Math.min(maxSteps, fitting));
  }
}

function sumOf(a: PlanWork, b: PlanWork): PlanWork {
  return { steps: a.steps + b.steps, rows: a.rows + b.rows, attended: a.attended + b.attended };
}
