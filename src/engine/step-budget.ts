import type { PlanLimits, SchedulerConfig, SchedulerOutput } from '../core/scheduler-output.ts';
import { type PlanWork, StepCost, workOf } from './step-cost.ts';

/** Plans whose results come closer together than this, in milliseconds, came at once: somebody looked for them late. */
const AT_ONCE_MS = 0.5;

/** The least budget of a step, however slow the adapter is: a smaller step would hardly take less time. */
const MIN_TOKENS = 32;

/** The expected state at the next step, from the last one. */
interface Forecast {
  /** Keys that a token fed next will read, but for those fed before it in its own step. */
  readonly context: number;
  /** A step in which each request decodes. */
  readonly decode: PlanWork;
  /** Decode steps that may be tried. */
  readonly maxSteps: number;
}

/** A plan, or several whose results came at once. */
interface Measurement {
  readonly work: PlanWork;
  readonly ms: number;
  readonly numPlans: number;
}

const NOTHING: Measurement = { work: { steps: 0, rows: 0, attended: 0 }, ms: 0, numPlans: 0 };

/**
 * How much a plan may hold so that it is expected to take no longer than a given time, and all plans in flight together
 * no longer either: so the GPU is free for the page's frames, no watchdog sees a long submit, and a new request waits for
 * no long plan.
 *
 * A plan in flight behind another takes the time from the other's results to its own. Some browsers look for results now
 * and then only (Firefox every 100 ms); then those of several plans come at once, and are one measurement. It says less of
 * the GPU than of the browser, so for as long as it comes out like that, plans are not held short for it.
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
  readonly #maxPlansInFlight: number;
  /** The last plans, while more that come at once with them may follow. */
  #held: Measurement | undefined;
  /** Whether plans that followed each other were ever measured. */
  #hasFollowed = false;
  /** Whether the last ones of those came at once. */
  #isLate = false;
  #forecast: Forecast = { context: 0, decode: { steps: 1, rows: 1, attended: 1 }, maxSteps: 1 };

  /** @param maxPlanMs milliseconds for the plans in flight, where the least that a step may have does not take longer. */
  constructor(
    { maxNumBatchedTokens, maxNumSeqs, maxStepsPerPlan, maxPlansInFlight = 1 }: SchedulerConfig,
    maxPlanMs: number,
  ) {
    this.#maxTokens = maxNumBatchedTokens;
    this.#minTokens = Math.min(Math.max(MIN_TOKENS, maxNumSeqs), maxNumBatchedTokens); // every slot can decode
    this.#maxSteps = maxStepsPerPlan;
    this.#maxPlanMs = maxPlanMs;
    this.#maxPlansInFlight = maxPlansInFlight;
  }

  /** For the next plan. */
  limits(): PlanLimits {
    return { tokenBudget: this.#tokenBudget(), maxSteps: this.#numSteps() };
  }

  /** Whether a plan may follow those in flight. Its cost is measured once, at a first try. */
  allowsAnother(numInFlight: number): boolean {
    if (numInFlight >= this.#maxPlansInFlight) return false;
    if (!this.#hasFollowed || this.#isLate) return true;
    const { decode } = this.#forecast;
    return (numInFlight + 1) * this.#cost.expect(decode) <= this.#maxPlanMs;
  }

  /**
   * Learns from a plan. @param ms from its scheduling, or the results of the one before it, to its own.
   * @param isFollowed whether another is in flight behind it.
   */
  record(plan: SchedulerOutput, ms: number, isFollowed = false): void {
    this.#measure(workOf(plan), ms, isFollowed);
    const { requests, numSteps, totalNumScheduledTokens } = plan;
    const ends = requests.map(({ startPosition, tokenIds }) => startPosition + tokenIds.length + numSteps - 1);
    // A request with most of this step has most of the next one.
    const weighted = requests.reduce((sum, { tokenIds }, i) => sum + tokenIds.length * (ends[i] ?? 0), 0);
    const attended = ends.reduce((sum, end) => sum + end + 1, 0);
    const context = weighted / totalNumScheduledTokens;
    const isDecode = totalNumScheduledTokens === requests.length;
    const maxSteps = isDecode ? Math.min(2 * numSteps, this.#maxSteps) : 1;
    this.#forecast = { context, decode: { steps: 1, rows: requests.length, attended }, maxSteps };
  }

  /** The expected milliseconds of the next plan, as a step of `numTokens` tokens; 0 while nothing is known. */
  expect(numTokens: number): number {
    const attended = numTokens * this.#forecast.context + (numTokens * (numTokens + 1)) / 2;
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

  #measure(work: PlanWork, ms: number, isFollowed: boolean): void {
    const held = this.#held;
    const isAtOnce = held !== undefined && ms < AT_ONCE_MS;
    if (held !== undefined) {
      this.#hasFollowed = true;
      this.#isLate = isAtOnce || held.numPlans > 1;
      if (!isAtOnce) this.#cost.record(held.work, held.ms);
    }
    const before = isAtOnce ? held : NOTHING;
    const measured = { work: sumOf(before.work, work), ms: before.ms + ms, numPlans: before.numPlans + 1 };
    this.#held = isFollowed ? measured : undefined;
    if (!isFollowed) this.#cost.record(measured.work, measured.ms);
  }

  #numSteps(): number {
    const { decode, maxSteps } = this.#forecast;
    if (this.#isLate) return maxSteps;
    const fitting = Math.floor(this.#maxPlanMs / (this.#maxPlansInFlight * this.#cost.expect(decode)));
    return Math.max(1, Math.min(maxSteps, fitting));
  }
}

function sumOf(a: PlanWork, b: PlanWork): PlanWork {
  return { steps: a.steps + b.steps, rows: a.rows + b.rows, attended: a.attended + b.attended };
}
