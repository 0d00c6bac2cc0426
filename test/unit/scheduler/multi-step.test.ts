import { describe, expect, test } from 'vitest';
import { runAlone } from './fake-runner.ts';
import { CONFIG, makeRequest } from './requests.ts';
import { Simulation } from './simulation.ts';

function numSteps(sim: Simulation): number[] {
  sim.drain();
  sim.checkAnswers();
  return sim.runner.plans.map((plan) => plan.numSteps);
}

describe('plans of several decode steps', () => {
  test('cover no more than the smallest number of tokens left in the batch', () => {
    const sim = new Simulation({ ...CONFIG, maxStepsPerPlan: 4 });
    sim.add(makeRequest('a', 4, { maxTokens: 12 }));
    sim.add(makeRequest('b', 4, { maxTokens: 7 }));
    expect(numSteps(sim)).toEqual([1, 4, 2, 4, 1]);
  });

  test('stop at the context', () => {
    const sim = new Simulation({ ...CONFIG, maxModelLen: 10, maxStepsPerPlan: 4 });
    sim.add(makeRequest('a', 3, { maxTokens: Infinity }));
    expect(numSteps(sim)).toEqual([1, 4, 2]);
  });

  test('are single steps while a request waits or a prompt is being computed', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 2, maxStepsPerPlan: 4 });
    sim.add(makeRequest('a', 4, { maxTokens: 9 }));
    sim.add(makeRequest('b', 40, { maxTokens: 6 }));
    sim.add(makeRequest('c', 4, { maxTokens: 5 }));
    sim.drain();
    sim.checkAnswers();
    for (const plan of sim.runner.plans) {
      const waiting = !plan.requests.some(({ requestId }) => requestId === 'c') && plan !== sim.runner.plans.at(-1);
      if (waiting) expect(plan.numSteps).toBe(1);
    }
    expect(sim.runner.plans.at(-1)?.numSteps).toBeGreaterThan(1);
  });

  test('are as long as the free blocks allow: they preempt nobody', () => {
    const sim = new Simulation({ ...CONFIG, numBlocks: 5, maxStepsPerPlan: 8 });
    sim.add(makeRequest('a', 4, { maxTokens: 9 }));
    sim.add(makeRequest('b', 3, { maxTokens: 6 }));
    // Computed by then: 4 and 3 tokens; 3 free blocks hold 4 more tokens of each, but not 6.
    expect(numSteps(sim)).toEqual([1, 5, 3]);
    expect(sim.scheduler.stats().preemptions).toBe(0);
  });

  test('discard what lies past a stop token', () => {
    const free = runAlone(makeRequest('a', 4, { maxTokens: 12 }), 64).outputTokenIds;
    const stop = free[3] ?? -1;
    expect(free.indexOf(stop)).toBe(3);
    const sim = new Simulation({ ...CONFIG, maxStepsPerPlan: 8 });
    sim.add(makeRequest('a', 4, { maxTokens: 12, stopTokenIds: [stop] }));
    sim.add(makeRequest('b', 5, { maxTokens: 20 }));
    sim.step();
    const step = sim.step();
    expect(step?.plan.numSteps).toBe(8);
    expect(step?.outputs[0]).toMatchObject({ newTokenIds: free.slice(1, 4), finishReason: 'stop' });
    expect(step?.outputs[1]?.newTokenIds).toHaveLength(8);
    sim.drain();
    sim.checkAnswers();
    expect(sim.scheduler.stats().generationTokens).toBe(24);
  });

  test.each([1, 2, 3, 7, 16])('of at most %i give the tokens that single steps give', (maxStepsPerPlan) => {
    const sim = new Simulation({ ...CONFIG, maxStepsPerPlan });
    for (let i = 0; i < 6; i++) {
      const stopTokenIds = i % 2 === 0 ? [] : [i];
      sim.add(makeRequest(`r${i}`, 3 + 5 * i, { maxTokens: 5 + 6 * i, seed: i, stopTokenIds }));
    }
    sim.drain();
    sim.add(makeRequest('alone', 6, { maxTokens: 40 }));
    sim.drain();
    sim.checkAnswers();
    expect(Math.max(...sim.runner.plans.map((plan) => plan.numSteps))).toBe(maxStepsPerPlan);
  });
});
