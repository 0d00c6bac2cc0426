import { describe, expect, test } from 'vitest';
import { CONFIG, makeRequest } from './requests.ts';
import { Simulation } from './simulation.ts';

describe('abort', () => {
  test('a waiting request ends at once, as having left the queue now', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1 });
    sim.add(makeRequest('a', 4));
    sim.add(makeRequest('b', 4));
    sim.step();
    sim.now = 70;
    expect(sim.abort('b')).toEqual([
      { requestId: 'b', newTokenIds: [], finishReason: 'abort', firstScheduledTime: 70, numCachedTokens: 0 },
    ]);
    sim.drain();
    sim.checkAnswers();
  });

  test('a running request between two plans gives back its blocks and its slot at once', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1 });
    sim.add(makeRequest('a', 10));
    sim.add(makeRequest('b', 4));
    sim.step();
    expect(sim.scheduler.stats().kvBlocksUsed).toBe(3);
    sim.now = 70;
    expect(sim.abort('a')).toMatchObject([{ requestId: 'a', finishReason: 'abort', firstScheduledTime: 1 }]);
    expect(sim.scheduler.stats()).toMatchObject({ kvBlocksUsed: 0, requestsRunning: 0, requestsWaiting: 1 });
    expect(sim.step()?.plan.requests.map(({ requestId }) => requestId)).toEqual(['b']);
  });

  test('one in flight keeps its blocks until the plan is done, and nothing of it comes out', () => {
    const sim = new Simulation(CONFIG);
    sim.add(makeRequest('a', 10));
    sim.add(makeRequest('b', 4));
    const step = sim.step(() => {
      expect(sim.abort('a')).toMatchObject([{ requestId: 'a', newTokenIds: [], finishReason: 'abort' }]);
      expect(sim.scheduler.stats()).toMatchObject({ requestsRunning: 1, kvBlocksUsed: 4 });
      expect(sim.abort('a')).toEqual([]);
    });
    expect(step?.outputs.map(({ requestId }) => requestId)).toEqual(['b']);
    expect(sim.scheduler.stats().kvBlocksUsed).toBe(1);
    sim.drain();
    sim.checkAnswers();
  });

  test('a request that is in flight but not in the plan needs no wait', () => {
    const sim = new Simulation(CONFIG);
    sim.add(makeRequest('a', 10));
    sim.step();
    const plan = sim.scheduler.schedule(2);
    sim.scheduler.add(makeRequest('b', 4));
    expect(sim.scheduler.abort('b', 3)).toHaveLength(1);
    if (plan === undefined) throw new Error('No plan.');
    expect(sim.scheduler.update(plan, sim.runner.executeNow(plan), 4)).toHaveLength(1);
  });

  test('an unknown or ended request is left alone', () => {
    const sim = new Simulation(CONFIG);
    sim.add(makeRequest('a', 4));
    sim.drain();
    expect(sim.abort('a')).toEqual([]);
    expect(sim.abort('never')).toEqual([]);
  });

  test('a session ends with all its requests, waiting, running and in flight, and with no others', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 3 });
    for (const [i, sessionId] of ['x', 'y', 'x', 'x', 'y'].entries()) {
      sim.add(makeRequest(`r${i}`, 4 + i, {}, { sessionId }));
    }
    const ended: string[] = [];
    const step = sim.step(() => ended.push(...sim.abortSession('x').map(({ requestId }) => requestId)));
    expect(ended.toSorted()).toEqual(['r0', 'r2', 'r3']);
    expect(step?.outputs.map(({ requestId }) => requestId)).toEqual(['r1']);
    sim.drain();
    sim.checkAnswers();
    expect([...sim.journals.values()].map(({ finishReason }) => finishReason)).toEqual([
      'abort',
      'length',
      'abort',
      'abort',
      'length',
    ]);
  });
});
