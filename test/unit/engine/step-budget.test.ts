import { describe, expect, test } from 'vitest';
import type { SchedulerConfig, SchedulerOutput } from '../../../src/core/scheduler-output.ts';
import { StepBudget } from '../../../src/engine/step-budget.ts';
import { type PlanWork, StepCost, workOf } from '../../../src/engine/step-cost.ts';
import { createRandom } from '../../support/random.ts';

const CONFIG: SchedulerConfig = {
  blockSize: 16,
  numBlocks: 1000,
  maxNumBatchedTokens: 512,
  maxNumSeqs: 16,
  maxModelLen: 16_000,
  maxStepsPerPlan: 8,
};
const MAX_MS = 100;
/** A step for which a GPU's operating system might end it, with some to spare. */
const LONG_MS = 500;

/** Each request's start and tokens, in a plan of so many steps. */
function planOf(requests: readonly (readonly [start: number, numTokens: number])[], numSteps = 1): SchedulerOutput {
  return {
    numSteps,
    requests: requests.map(([startPosition, numTokens], slot) => ({
      requestId: `r${slot}`,
      slot,
      tokenIds: Array<number>(numTokens).fill(0),
      startPosition,
      blockTable: [],
      samples: true,
      sampling: { temperature: 0, seed: 0, choice: 0 },
    })),
    totalNumScheduledTokens: requests.reduce((sum, [, numTokens]) => sum + numTokens, 0),
  };
}

/** An adapter: milliseconds a step, a row, and a thousand keys read; what a plan costs may be changed as time goes by. */
class Adapter {
  readonly budget: StepBudget;
  readonly times: number[] = [];
  factor = (): number => 1;
  readonly #cost: readonly [step: number, row: number, kiloKeys: number];

  constructor(cost: readonly [step: number, row: number, kiloKeys: number], config: Partial<SchedulerConfig> = {}) {
    this.#cost = cost;
    this.budget = new StepBudget({ ...CONFIG, ...config }, MAX_MS);
  }

  /** What a plan takes without noise. */
  ms({ steps, rows, attended }: PlanWork): number {
    const [step, row, kiloKeys] = this.#cost;
    return step * steps + row * rows + (kiloKeys * attended) / 1000;
  }

  execute(plan: SchedulerOutput): number {
    const ms = this.ms(workOf(plan)) * this.factor();
    this.times.push(ms);
    this.budget.record(plan, ms);
    return ms;
  }

  /** Prefills a prompt beside `decoding` requests, as much a step as the budget allows. Returns the chunks. */
  prefill(numTokens: number, decoding = 0, context = 100): number[] {
    const chunks: number[] = [];
    for (let start = 0; start < numTokens; start += chunks.at(-1) ?? 0) {
      const chunk = Math.min(numTokens - start, this.budget.limits().tokenBudget - decoding);
      chunks.push(chunk);
      this.execute(planOf([...Array.from({ length: decoding }, () => [context, 1] as const), [start, chunk]]));
    }
    return chunks;
  }

  /** Decodes with as many requests, as many steps a plan as allowed. Returns how many that was at each plan. */
  decode(numRequests: number, numPlans: number, context = 100): number[] {
    return Array.from({ length: numPlans }, (_, i) => {
      const { maxSteps } = this.budget.limits();
      this.execute(planOf(Array.from({ length: numRequests }, () => [context + i, 1]), maxSteps));
      return maxSteps;
    });
  }
}

const FAST = [2, 0.02, 0.0005] as const; // 12 ms for 512 rows
const MIDDLE = [10, 0.3, 0.003] as const; // 164 ms for 512 rows
const SLOW = [60, 2, 0.02] as const;
const SOFTWARE = [400, 20, 0.1] as const;

describe('before anything is known', () => {
  test('a step has the floor, and a plan one step', () => {
    expect(new StepBudget(CONFIG, MAX_MS).limits()).toEqual({ tokenBudget: 32, maxSteps: 1 });
  });

  test('the floor lets every slot decode, and is no more than a step may have', () => {
    expect(new StepBudget({ ...CONFIG, maxNumSeqs: 40 }, MAX_MS).limits().tokenBudget).toBe(40);
    expect(new StepBudget({ ...CONFIG, maxNumBatchedTokens: 16 }, MAX_MS).limits().tokenBudget).toBe(16);
  });
});

describe('a fast adapter', () => {
  test('loses three steps while it doubles what has been measured; then all is allowed', () => {
    const adapter = new Adapter(FAST);
    expect(adapter.prefill(2000)).toEqual([32, 64, 128, 256, 512, 512, 496]);
    expect(adapter.prefill(2000)).toEqual([512, 512, 512, 464]);
    expect(adapter.decode(4, 10)).toEqual([1, 2, 4, ...Array<number>(7).fill(8)]);
  });

  test('is as fast after a thousand decode steps: they say nothing against long ones', () => {
    const adapter = new Adapter(FAST);
    adapter.prefill(2000);
    adapter.decode(3, 1000);
    expect(adapter.prefill(1000)).toEqual([512, 488]);
  });
});

describe('plans stay within the limit', () => {
  test('of every speed in between, in chunks as long as fit', () => {
    const adapter = new Adapter(MIDDLE);
    adapter.prefill(2000, 4);
    adapter.times.length = 0;
    const chunks = adapter.prefill(8000, 4);
    for (const ms of adapter.times) expect(ms).toBeLessThan(1.02 * MAX_MS);
    for (const ms of adapter.times.slice(0, -1)) expect(ms).toBeGreaterThan(0.9 * MAX_MS);
    // The further the prompt, the more a row costs.
    expect(chunks[0]).toBeGreaterThan(1.05 * (chunks.at(-2) ?? Infinity));
  });

  test('what is expected does, at each moment, for every speed: but for the floor', () => {
    const random = createRandom(5);
    for (let i = 0; i < 40; i++) {
      const scale = 2 ** (8 * random.uniform() - 4);
      const adapter = new Adapter([10 * scale * random.uniform(), scale * random.uniform(), 0.01 * scale * random.uniform()]);
      adapter.factor = () => 1 + 0.2 * random.normal();
      for (let j = 0; j < 30; j++) {
        if (random.below(2) === 0) adapter.prefill(1 + random.below(1500), random.below(8));
        else adapter.decode(1 + random.below(16), 1 + random.below(30), random.below(2000));
        const { tokenBudget } = adapter.budget.limits();
        expect(tokenBudget).toBeGreaterThanOrEqual(8);
        if (tokenBudget < 32) expect(adapter.budget.expect(32)).toBeGreaterThan(LONG_MS);
        expect(tokenBudget).toBeLessThanOrEqual(512);
        if (tokenBudget > 32) expect(adapter.budget.expect(tokenBudget)).toBeLessThanOrEqual(MAX_MS);
      }
    }
  });

  test('looking ahead as well: as many decode steps as fit', () => {
    const adapter = new Adapter([18, 0.5, 1]);
    expect(adapter.decode(8, 20)).toEqual([1, 2, ...Array<number>(18).fill(4)]); // 22.8 ms a step
    expect(Math.max(...adapter.times)).toBeLessThanOrEqual(MAX_MS);
    // Eight requests that read 3,000 keys each: 46 ms a step. The first plan does not know it yet.
    adapter.times.length = 0;
    expect(adapter.decode(8, 10, 3000).slice(2)).toEqual(Array(8).fill(2));
    expect(Math.max(...adapter.times.slice(2))).toBeLessThanOrEqual(MAX_MS);
    // A prompt in between: what decoding takes now is found out with one step.
    adapter.prefill(100, 7);
    expect(adapter.budget.limits().maxSteps).toBe(1);
  });

  test('a slow adapter gets the floor, step for step', () => {
    const adapter = new Adapter(SLOW);
    expect(new Set(adapter.prefill(320))).toEqual(new Set([32]));
    expect(adapter.decode(2, 5)).toEqual(Array(5).fill(1));
    expect(Math.max(...adapter.times)).toBeLessThan(130);
  });

  test('a GPU whose step takes longer than half a second gets fewer, down to eight', () => {
    for (const [row, tokens] of [[12, 32], [25, 16], [40, 10], [100, 8]] as const) {
      const adapter = new Adapter([100, row, 0]);
      const chunks = adapter.prefill(400);
      expect(chunks[0]).toBe(32);
      // Once a step, a row and a key are told apart, as well as can be.
      expect(chunks.at(-2)).toBeLessThanOrEqual(tokens);
      expect(chunks.at(-2)).toBeGreaterThanOrEqual(Math.max(8, tokens - 1));
      if (tokens > 8) expect(Math.max(...adapter.times.slice(4))).toBeLessThanOrEqual(LONG_MS);
    }
  });

  test('beside requests that decode, a prompt still gets eight', () => {
    const adapter = new Adapter([100, 100, 0]);
    expect(adapter.prefill(100, 10).slice(1, 4)).toEqual([8, 8, 8]);
  });

  test('a software adapter’s steps are as they were: nothing ends them', () => {
    const adapter = new Adapter(SOFTWARE, { maxNumBatchedTokens: 32, minNumBatchedTokens: 32, maxNumSeqs: 8, maxStepsPerPlan: 1 });
    expect(new Set(adapter.prefill(320))).toEqual(new Set([32]));
  });
});

describe('an adapter that is not steady', () => {
  test('with noise: most plans keep the limit, and little is lost', () => {
    const random = createRandom(3);
    const adapter = new Adapter(MIDDLE);
    adapter.factor = () => 1 + 0.15 * random.normal();
    adapter.prefill(4000, 4);
    adapter.times.length = 0;
    for (let i = 0; i < 10; i++) adapter.prefill(4000, 4);
    const { times } = adapter;
    expect(times.filter((ms) => ms > 1.3 * MAX_MS).length / times.length).toBeLessThan(0.1);
    expect(times.reduce((sum, ms) => sum + ms, 0) / times.length).toBeGreaterThan(0.7 * MAX_MS);
  });

  test.each([2, 5, 50])('one plan that takes %i times as long makes the next one short, and no other', (outlier) => {
    const adapter = new Adapter(MIDDLE);
    adapter.prefill(2000, 4);
    const usual = adapter.budget.limits().tokenBudget;
    adapter.factor = () => outlier;
    adapter.execute(planOf([[1000, 200]]));
    expect(adapter.budget.limits().tokenBudget).toBeLessThan(0.6 * usual);
    adapter.factor = () => 1;
    adapter.execute(planOf([[1000, 100]]));
    expect(adapter.budget.limits().tokenBudget).toBeGreaterThan(0.9 * usual);
  });

  test.each([2, 4])('one that becomes %i times slower keeps the limit from the third plan on', (factor) => {
    const adapter = new Adapter([5, 0.15, 0.001]);
    adapter.prefill(4000, 4);
    adapter.factor = () => factor;
    adapter.times.length = 0;
    adapter.prefill(4000, 4);
    for (const ms of adapter.times.slice(2)) expect(ms).toBeLessThan(1.1 * MAX_MS);
    expect(adapter.times.slice(-6, -1).reduce((sum, ms) => sum + ms, 0) / 5).toBeGreaterThan(0.75 * MAX_MS);
  });

  test.each([2, 4])('one that becomes %i times slower, by turns with decoding, too', (factor) => {
    const adapter = new Adapter([5, 0.15, 0.001]);
    const turn = (): void => {
      adapter.prefill(1500, 4);
      adapter.decode(4, 6);
    };
    for (let i = 0; i < 5; i++) turn();
    adapter.factor = () => factor;
    turn();
    adapter.times.length = 0;
    for (let i = 0; i < 5; i++) turn();
    expect(Math.max(...adapter.times)).toBeLessThan(1.1 * MAX_MS);
  });

  test('one that becomes fast again is used as such', () => {
    const adapter = new Adapter([5, 0.15, 0.001]);
    adapter.factor = () => 8;
    adapter.prefill(2000, 4);
    adapter.decode(4, 20);
    adapter.factor = () => 1;
    adapter.prefill(8000, 4);
    expect(adapter.budget.limits().tokenBudget).toBe(512);
  });

  test('a first plan that compiles shaders for seconds is soon forgotten', () => {
    const adapter = new Adapter(FAST);
    adapter.factor = () => 1000;
    adapter.execute(planOf([[0, 32]]));
    adapter.factor = () => 1;
    expect(adapter.prefill(1000)).toEqual([8, 64, 128, 256, 512, 32]);
  });
});

test('what a step, a row and a key cost is told apart, once plans differ in them', () => {
  const cost = new StepCost();
  const adapter = new Adapter([7, 0.2, 0.4]);
  const record = (plan: SchedulerOutput): void => cost.record(workOf(plan), adapter.ms(workOf(plan)));
  expect(cost.expect({ steps: 1, rows: 1, attended: 1 })).toBe(0);
  for (let i = 0; i < 5; i++) {
    record(planOf([[0, 100 + i]]));
    record(planOf([[3000 + i, 1], [10, 1]], 4));
    record(planOf([[2000 + i, 200]]));
  }
  for (const plan of [planOf([[0, 400]]), planOf([[5000, 30]]), planOf([[100, 1]], 8), planOf([[0, 1]])]) {
    const expected = adapter.ms(workOf(plan));
    expect(cost.expect(workOf(plan)) / expected).toBeCloseTo(1, 1);
  }
  expect(cost.largestStep).toBe(200);
});

test('a plan’s work: steps, rows, and the keys that each row reads', () => {
  expect(workOf(planOf([[0, 1]]))).toEqual({ steps: 1, rows: 1, attended: 1 });
  expect(workOf(planOf([[10, 3], [0, 2]]))).toEqual({ steps: 1, rows: 5, attended: 11 + 12 + 13 + 1 + 2 });
  expect(workOf(planOf([[10, 1], [4, 1]], 3))).toEqual({ steps: 3, rows: 6, attended: 11 + 12 + 13 + 5 + 6 + 7 });
});
