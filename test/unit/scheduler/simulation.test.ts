import { describe, expect, test } from 'vitest';
import type { SchedulerConfig } from '../../../src/core/scheduler-output.ts';
import { createRandom } from '../../support/random.ts';
import type { Random } from '../../support/random.ts';
import { randomRequest } from './requests.ts';
import { Simulation } from './simulation.ts';

function randomConfig(random: Random): SchedulerConfig {
  const blockSize = 1 + random.below(8);
  return {
    blockSize,
    numBlocks: Math.ceil(8 / blockSize) + random.below(30),
    maxNumBatchedTokens: 1 + random.below(40),
    maxNumSeqs: 1 + random.below(8),
    maxModelLen: 8 + random.below(60),
    maxStepsPerPlan: 1 + random.below(2) * random.below(9),
  };
}

/** Random arrivals, and aborts of requests and of sessions between steps and while a plan executes. */
function simulate(seed: number, numRequests: number): Simulation {
  const random = createRandom(seed);
  const simulation = new Simulation(randomConfig(random));
  const aborts = random.below(2) === 0;
  const load = 1 + random.below(10);
  const abortSome = (): void => {
    if (!aborts || random.below(20) !== 0) return;
    if (random.below(4) === 0) simulation.abortSession(`tab${random.below(3)}`);
    else simulation.abort(`r${random.below(numRequests)}`);
  };
  const addSome = (): void => {
    const { journals, now } = simulation;
    if (journals.size === numRequests || random.below(load) !== 0) return;
    for (let burst = random.below(4); burst >= 0 && journals.size < numRequests; burst--) {
      simulation.add(randomRequest(random, `r${journals.size}`, simulation.maxModelLen, now));
    }
  };
  while (simulation.journals.size < numRequests) {
    addSome();
    abortSome();
    simulation.step(() => {
      addSome();
      abortSome();
    });
  }
  simulation.drain();
  return simulation;
}

const SEEDS = Array.from({ length: 50 }, (_, seed) => seed);
const simulations = new Map<number, Simulation>();

function simulationOf(seed: number): Simulation {
  const simulation = simulations.get(seed) ?? simulate(seed, 60);
  simulations.set(seed, simulation);
  return simulation;
}

describe('random load over random configurations', () => {
  test.each(SEEDS)('seed %i: every request ends as it does alone', (seed) => {
    const simulation = simulationOf(seed);
    simulation.checkAnswers();
    for (const { finishReason } of simulation.journals.values()) expect(finishReason).toBeDefined();
  });

  test('the seeds come across what they are there for', () => {
    const seen = { preemptions: 0, aborts: 0, stops: 0, steps: 0, multiSteps: 0, mixes: 0, chunks: 0, overshoots: 0 };
    for (const { scheduler, runner, journals } of SEEDS.map(simulationOf)) {
      seen.preemptions += scheduler.stats().preemptions;
      for (const { finishReason } of journals.values()) {
        if (finishReason === 'abort') seen.aborts++;
        if (finishReason === 'stop') seen.stops++;
      }
      seen.overshoots -= scheduler.stats().generationTokens;
      for (const { numSteps, requests } of runner.plans) {
        seen.steps++;
        if (numSteps > 1) seen.multiSteps++;
        if (requests.some(({ samples }) => !samples)) seen.chunks++;
        const numDecoding = requests.filter(({ tokenIds }) => tokenIds.length === 1).length;
        if (numDecoding > 0 && numDecoding < requests.length) seen.mixes++;
        seen.overshoots += numSteps * requests.filter(({ samples }) => samples).length;
      }
    }
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(30);
    expect(seen.steps).toBeGreaterThan(5000);
  });
});
