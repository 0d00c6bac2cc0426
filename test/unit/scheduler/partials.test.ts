import { describe, expect, test } from 'vitest';
import { numPartialsAt, numPartialsOf, numRowsWithin } from '../../../src/core/partials.ts';
import type { SchedulerConfig, SchedulerOutput } from '../../../src/core/scheduler-output.ts';
import { Scheduler } from '../../../src/scheduler/scheduler.ts';
import { makeRequest } from './requests.ts';
import { Simulation } from './simulation.ts';

// Simulation checks at each step that its rows have no more partial results than there is room for.

/** The longest sequence has 16 splits. */
const CONFIG: SchedulerConfig = {
  blockSize: 16,
  numBlocks: 1024,
  maxNumBatchedTokens: 64,
  maxNumSeqs: 8,
  maxModelLen: 2048,
  maxStepsPerPlan: 1,
  splitTokens: 128,
  maxNumPartials: 40,
};

/** The numbers of tokens that each plan gives a request. */
function chunksOf(plans: readonly SchedulerOutput[], requestId: string): number[] {
  return plans.flatMap(({ requests }) => requests.filter((each) => each.requestId === requestId).map(({ tokenIds }) => tokenIds.length));
}

test('a row has a partial result for each split of its context, and none where there is one', () => {
  expect([0, 127, 128, 255, 256].map((position) => numPartialsAt(position, 128))).toEqual([0, 0, 2, 2, 3]);
  expect(numPartialsOf(126, 4, 128)).toBe(0 + 0 + 2 + 2);
  expect([3, 4, 5, 100].map((room) => numRowsWithin(126, 4, 128, room))).toEqual([3, 4, 4, 4]);
  expect(numPartialsAt(1e6, Infinity)).toBe(0);
});

describe('the room for partial results', () => {
  test('cuts the chunks of a long prompt, which goes on to its end', () => {
    const sim = new Simulation(CONFIG);
    sim.add(makeRequest('a', 2000, { maxTokens: 3 }));
    sim.drain();
    sim.checkAnswers();
    const chunks = chunksOf(sim.runner.plans, 'a');
    expect(chunks.slice(0, 3)).toEqual([64, 64, 20]); // at 128 a row has 2 partial results, of 40
    expect(Math.max(...chunks.slice(-10))).toBe(2); // 16 each
  });

  test('leaves a prompt progress where it holds one row of its end', () => {
    const sim = new Simulation({ ...CONFIG, splitTokens: 8, maxModelLen: 512, maxNumPartials: 64 });
    sim.add(makeRequest('a', 500, { maxTokens: 40 }));
    sim.drain();
    sim.checkAnswers();
    expect(chunksOf(sim.runner.plans, 'a').at(-20)).toBe(1);
  });

  test('that a 1B model has lets a prompt of 32,700 tokens through', () => {
    const scheduler = new Scheduler({ ...CONFIG, numBlocks: 2100, maxModelLen: 32_768, maxNumBatchedTokens: 256, maxNumPartials: 7228 });
    scheduler.add(makeRequest('a', 32_700, { maxTokens: 1 }));
    const chunks: number[] = [];
    for (let plan = scheduler.schedule(0); plan !== undefined; plan = scheduler.schedule(0)) {
      chunks.push(plan.totalNumScheduledTokens);
      const ids = new Map(plan.requests.filter(({ samples }) => samples).map(({ requestId }) => [requestId, [1]]));
      scheduler.update(plan, { sampledTokenIds: ids }, 0);
    }
    expect(chunks.reduce((sum, tokens) => sum + tokens, 0)).toBe(32_700);
    expect(chunks[0]).toBe(256);
    expect(Math.min(...chunks.slice(0, -1))).toBe(28); // 256 partial results each
  });

  test('has every row of a decode batch in each step, beside a prompt that takes what is left', () => {
    const sim = new Simulation({ ...CONFIG, maxNumPartials: 25 });
    const streams = ['a', 'b', 'c', 'd'];
    for (const id of streams) sim.add(makeRequest(id, 130, { maxTokens: 90 }));
    while (sim.runner.plans.at(-1)?.requests.length !== 4 || sim.runner.plans.at(-1)?.totalNumScheduledTokens !== 4) sim.step();
    sim.add(makeRequest('long', 1000, { maxTokens: 5 }));
    for (let i = 0; i < 60; i++) {
      const plan = sim.step()?.plan;
      expect(plan?.requests.map(({ requestId }) => requestId)).toEqual(expect.arrayContaining(streams));
      expect(plan?.requests.some(({ requestId }) => requestId === 'long')).toBe(true);
    }
    sim.drain();
    sim.checkAnswers();
    expect(sim.scheduler.stats().preemptions).toBe(0);
  });

  test('that contexts outgrow preempts the newest, which ends as it does alone', () => {
    const sim = new Simulation({ ...CONFIG, maxStepsPerPlan: 4, maxPlansInFlight: 2, maxNumPartials: 17 });
    for (const id of ['a', 'b', 'c']) sim.add(makeRequest(id, 300, { maxTokens: 900 }));
    sim.drain();
    sim.checkAnswers();
    expect(sim.scheduler.stats().preemptions).toBeGreaterThan(0);
  });

  test('admits a request only where a row of it fits beside those that run', () => {
    const sim = new Simulation({ ...CONFIG, maxNumPartials: 17 });
    sim.add(makeRequest('a', 1000, { maxTokens: 20 }));
    sim.add(makeRequest('b', 1300, { maxTokens: 20 }));
    for (let i = 0; i < 5; i++) sim.step();
    expect(sim.scheduler.stats()).toMatchObject({ requestsRunning: 1, requestsWaiting: 1 });
    sim.drain();
    sim.checkAnswers();
    expect(sim.scheduler.stats().preemptions).toBe(0);
  });

  test('is shared by two long prompts', () => {
    const sim = new Simulation(CONFIG);
    for (const id of ['a', 'b']) sim.add(makeRequest(id, 1500, { maxTokens: 2 }));
    while (sim.runner.plans.length < 80) sim.step();
    const shares = sim.runner.plans.slice(10).map(({ requests }) => requests.map(({ requestId }) => requestId));
    expect(shares).toEqual(shares.map(() => ['a', 'b']));
    sim.drain();
    sim.checkAnswers();
  });

  test('does not hold up a short prompt behind a long one', () => {
    const sim = new Simulation(CONFIG);
    sim.add(makeRequest('long', 2000, { maxTokens: 2 }));
    while ((sim.runner.plans.at(-1)?.requests[0]?.startPosition ?? 0) < 1500) sim.step();
    sim.add(makeRequest('short', 60, { maxTokens: 2 }));
    sim.step();
    expect(chunksOf(sim.runner.plans, 'short')).toEqual([60]);
    sim.drain();
    sim.checkAnswers();
  });
});
