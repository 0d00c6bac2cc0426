import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LAST_SAMPLED } from '../../../src/core/scheduler-output.ts';
import { count, play, propertyParameters, scenarios, type Seen } from './scenario.ts';
import type { Simulation } from './simulation.ts';

// Whatever comes, in whatever order, over whatever configuration. What must hold at each step, Simulation checks.

const parameters = propertyParameters(300);
const seen: Seen = new Map();

/** Notes what there was in a run. */
function note({ scheduler, runner, journals, numOverruns }: Simulation): void {
  const stats = scheduler.stats();
  count(seen, 'preemptions', stats.preemptions);
  count(seen, 'prefix cache hits', stats.prefixCacheHits);
  for (const { request, finishReason, error } of journals.values()) {
    count(seen, `ended by ${error ?? finishReason}`);
    if (request.cacheSalt !== undefined) count(seen, 'salts');
  }
  count(seen, 'overruns', numOverruns);
  for (const { numSteps, requests } of runner.plans) {
    if (requests.some(({ tokenIds }) => tokenIds[0] === LAST_SAMPLED)) count(seen, 'plans ahead');
    count(seen, 'steps');
    if (numSteps > 1) count(seen, 'plans of several steps');
    if (requests.some(({ samples }) => !samples)) count(seen, 'chunks');
    const numDecoding = requests.filter(({ tokenIds }) => tokenIds.length === 1).length;
    if (numDecoding > 0 && numDecoding < requests.length) count(seen, 'mixed steps');
    count(seen, 'tokens discarded', numSteps * requests.filter(({ samples }) => samples).length);
  }
  count(seen, 'tokens discarded', -stats.generationTokens);
}

describe('random load over random configurations', () => {
  test('every request ends once, as it does alone, or as far as it came; nothing leaks', () => {
    const property = fc.property(scenarios(80), (scenario) => {
      const sim = play(scenario, seen);
      note(sim);
      expect(sim.live).toEqual([]);
      sim.checkAnswers();
      for (const { request, error } of sim.journals.values()) {
        if (error === 'internal') expect(sim.failing).toContain(request.requestId);
      }
    });
    fc.assert(property, parameters);
  });

  test('the runs come across what they are there for', () => {
    const expected = [
      'preemptions', 'prefix cache hits', 'salts', 'steps', 'plans of several steps', 'chunks', 'mixed steps',
      'plans ahead', 'overruns', 'tokens discarded', 'aborted', 'sessions aborted', 'superseded', 'resumed', 'refused', 'ended by stop',
      'ended by length', 'ended by abort', 'ended by aborted', 'ended by deadline_exceeded', 'ended by internal',
    ];
    for (const what of expected) expect(seen.get(what), what).toBeGreaterThan(50);
    expect([...seen.keys()].toSorted()).toEqual(expected.toSorted());
  });
});
