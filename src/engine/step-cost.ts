import type { SchedulerOutput } from '../core/scheduler-output.ts';

/** The work of a plan, in the units that its time depends on. */
export interface PlanWork {
  /** Steps: each reads all weights once. */
  readonly steps: number;
  /** Tokens fed, over all steps. */
  readonly rows: number;
  /** Keys read: the context of each row, itself included, summed over the rows. */
  readonly attended: number;
}

export function workOf({ numSteps, requests, totalNumScheduledTokens }: SchedulerOutput): PlanWork {
  // A request feeds several tokens, or one in each of several steps: always consecutive positions.
  const attended = requests.map(({ startPosition, tokenIds }) => {
    const numTokens = tokenIds.length * numSteps;
    return numTokens * startPosition + (numTokens * (numTokens + 1)) / 2;
  });
  return {
    steps: numSteps,
    rows: totalNumScheduledTokens * numSteps,
    attended: attended.reduce((sum, keys) => sum + keys, 0),
  };
}

interface Sample {
  /** Rows, steps and keys, in that order: a cost that could be any of them is attributed to the rows. */
  readonly x: readonly number[];
  readonly rowsPerStep: number;
  readonly ms: number;
}

/** The last plans of about one size that count. */
const SAMPLES_PER_SIZE = 8;
/** Shorter times are noise of the clock and the event loop. */
const MIN_MS = 0.5;
/** If two plans in a row take this many times the expected time, the adapter has become slower. */
const CHANGE = 1.5;
const SWEEPS = 60;

/**
 * The time of a plan, learnt from earlier plans: a cost for each step, row and key read, none negative, by least squares of
 * the relative error. With relative errors a decode step counts as much as a long chunk, and one plan fifty times as long as
 * others of its size hardly counts.
 *
 * The last plans of each size (within a factor of two) count, so that a thousand decode steps do not displace a prompt's
 * cost. After two slow plans in a row, earlier measurements are dropped.
 */
export class StepCost {
  readonly #samples = new Map<number, Sample[]>();
  /** Milliseconds for a row, a step and a key. */
  readonly #cost = [0, 0, 0];
  #lastRatio = 1;

  /** The most rows of a step among the plans that count; 0 while nothing has been measured. */
  get largestStep(): number {
    return Math.max(0, ...[...this.#samples.values()].flat().map(({ rowsPerStep }) => rowsPerStep));
  }

  /** The last plan's time over its expected time: 1 or more. */
  get slowness(): number {
    return Math.max(1, this.#lastRatio);
  }

  /** The expected milliseconds of such a plan; 0 while nothing has been measured. */
  expect(work: PlanWork): number {
    return this.slowness * this.#fitted(featuresOf(work));
  }

  /** Learns from a plan. @param ms from its scheduling to its ids */
  record(work: PlanWork, ms: number): void {
    const sample: Sample = { x: featuresOf(work), rowsPerStep: work.rows / work.steps, ms: Math.max(ms, MIN_MS) };
    const expected = this.#fitted(sample.x);
    const ratio = expected === 0 ? 1 : sample.ms / expected;
    const hasChanged = Math.min(ratio, this.#lastRatio) > CHANGE;
    this.#lastRatio = ratio;
    if (hasChanged) {
      this.#samples.clear();
      this.#lastRatio = 1;
    }
    const size = Math.ceil(Math.log2(sample.rowsPerStep));
    this.#samples.set(size, [...(this.#samples.get(size) ?? []), sample].slice(-SAMPLES_PER_SIZE));
    this.#fit();
  }

  #fitted(x: readonly number[]): number {
    return x.reduce((sum, value, i) => sum + value * (this.#cost[i] ?? 0), 0);
  }

  /** Coordinate descent with costs of 0 or more, from the last fit: little changes from plan to plan. */
  #fit(): void {
    const samples = [...this.#samples.values()].flat().map(({ x, ms }) => x.map((value) => value / ms));
    const sumOf = (term: (x: readonly number[]) => number): number => samples.reduce((sum, x) => sum + term(x), 0);
    const indices = [...this.#cost.keys()];
    const products = indices.map((i) => indices.map((j) => sumOf((x) => (x[i] ?? 0) * (x[j] ?? 0))));
    const sums = indices.map((i) => sumOf((x) => x[i] ?? 0));
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      for (const [i, row] of products.entries()) {
        const gradient = (sums[i] ?? 0) - row.reduce((sum, product, j) => sum + product * (this.#cost[j] ?? 0), 0);
        this.#cost[i] = Math.max(0, (this.#cost[i] ?? 0) + gradient / (row[i] ?? 1));
      }
    }
  }
}

function featuresOf({ steps, rows, attended }: PlanWork): readonly number[] {
  return [rows, steps, attended];
}
