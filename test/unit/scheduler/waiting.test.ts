import { describe, expect, test } from 'vitest';
import type { EngineRequest } from '../../../src/core/request.ts';
import { CONFIG, makeRequest } from './requests.ts';
import { Simulation } from './simulation.ts';

const ids = (sim: Simulation): string[] => sim.step()?.plan.requests.map(({ requestId }) => requestId) ?? [];

function request(id: string, rest: Partial<EngineRequest> = {}, maxTokens = 3): EngineRequest {
  return makeRequest(id, 4, { maxTokens }, rest);
}

describe('priority', () => {
  test('lower is served earlier, whatever came first', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1 });
    const priorities = { low: 2, none: undefined, urgent: -1.5, alsoUrgent: -1.5, high: -1 };
    for (const [id, priority] of Object.entries(priorities)) sim.add(request(id, { priority }));
    const order: string[] = [];
    for (let [id] = ids(sim); id !== undefined; [id] = ids(sim)) if (order.at(-1) !== id) order.push(id);
    expect(order).toEqual(['urgent', 'alsoUrgent', 'high', 'none', 'low']);
  });

  test('goes before fairness: a session with nothing running waits for another’s more urgent ones', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1 });
    sim.add(request('other', { sessionId: 'other' }));
    for (const id of ['a', 'b']) sim.add(request(id, { priority: -1 }));
    expect(ids(sim)).toEqual(['a']);
    sim.abort('a');
    expect(ids(sim)).toEqual(['b']);
  });

  test('the least urgent gives up its blocks first, and of those the newest', () => {
    const sim = new Simulation({ ...CONFIG, numBlocks: 9 });
    /** Those left when the first has been preempted. */
    const left = (): string[] => {
      for (;;) {
        const scheduled = ids(sim);
        if (scheduled.length < 3) return scheduled;
      }
    };
    sim.add(request('low', { priority: 1 }, 12));
    sim.step();
    for (const id of ['a', 'b']) sim.add(request(id, {}, 12));
    expect(left()).toEqual(['a', 'b']);
    sim.drain();
    for (const id of ['c', 'd', 'e']) sim.add(request(id, {}, 12));
    expect(left()).toEqual(['c', 'd']);
    sim.drain();
    expect(sim.scheduler.stats().preemptions).toBe(2);
    sim.checkAnswers();
  });

  test('must be a number', () => {
    const sim = new Simulation(CONFIG);
    const error = expect.objectContaining({ code: 'invalid_request', param: 'priority' });
    for (const priority of [NaN, Infinity]) expect(() => sim.add(request('a', { priority }))).toThrow(error);
  });
});

describe('deadline', () => {
  test('ends a request when its time has come, waiting or running, with what it has', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1 });
    sim.add(request('running', { deadline: 4 }, 20));
    sim.add(request('waiting', { deadline: 3 }));
    sim.add(request('patient', { deadline: 1000 }));
    for (let i = 0; i < 3; i++) expect(ids(sim)).toEqual(['running']);
    expect(sim.journals.get('waiting')).toMatchObject({ finishReason: 'abort', error: 'deadline_exceeded' });
    expect(sim.journals.get('running')).toMatchObject({ finishReason: undefined });
    expect(ids(sim)).toEqual(['patient']);
    expect(sim.journals.get('running')).toMatchObject({
      finishReason: 'abort',
      error: 'deadline_exceeded',
      outputTokenIds: { length: 3 },
    });
    sim.drain();
    sim.checkAnswers();
    expect(sim.journals.get('patient')).toMatchObject({ finishReason: 'length' });
  });
});

describe('supersession', () => {
  test('a newer request of the same session and key ends the older ones, waiting or running', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1 });
    const key = { supersede: 'autocomplete' };
    sim.add(request('a', key));
    sim.step();
    expect(sim.add(request('b', key))).toMatchObject([
      { requestId: 'a', finishReason: 'abort', error: { code: 'aborted', message: expect.stringContaining('autocomplete') } },
    ]);
    expect(sim.add(request('c', key))).toMatchObject([{ requestId: 'b', newTokenIds: [] }]);
    expect(ids(sim)).toEqual(['c']);
  });

  test('reaches no other session, no other key, and nothing without a key', () => {
    const sim = new Simulation(CONFIG);
    sim.add(request('other session', { sessionId: 'other', supersede: 'k' }));
    sim.add(request('other key', { supersede: 'l' }));
    sim.add(request('no key'));
    expect(sim.add(request('no key either'))).toEqual([]);
    expect(sim.add(request('new', { supersede: 'k' }))).toEqual([]);
    expect(sim.live).toHaveLength(5);
  });

  test('one that is refused supersedes nothing', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1, maxNumWaiting: 1 });
    sim.add(request('running', { supersede: 'k' }));
    sim.step();
    sim.add(request('waiting'));
    expect(() => sim.add(request('refused', { supersede: 'k' }))).toThrow(expect.objectContaining({ code: 'queue_full' }));
    expect(sim.live).toHaveLength(2);
  });
});

describe('a full queue', () => {
  const full = (message: string, retryAfterMs: unknown = expect.any(Number)): unknown =>
    expect.objectContaining({ code: 'queue_full', message: expect.stringMatching(message), details: { retryAfterMs } });

  test('refuses a request where too many of all wait; those that run do not count', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 2, maxNumWaiting: 3 });
    for (const id of ['a', 'b']) sim.add(request(id));
    sim.step();
    for (const id of ['c', 'd', 'e']) sim.add(request(id, { sessionId: id }));
    expect(() => sim.add(request('f', { sessionId: 'f' }))).toThrow(full('^3 requests wait already'));
    sim.abort('d');
    sim.add(request('f', { sessionId: 'f' }));
  });

  test('refuses a request where too many of its session wait, and lets others in', () => {
    const sim = new Simulation({ ...CONFIG, maxNumWaitingPerSession: 2 });
    for (const id of ['a', 'b']) sim.add(request(id));
    expect(() => sim.add(request('c'))).toThrow(full('^2 requests of this tab wait already'));
    sim.add(request('d', { sessionId: 'other' }));
  });

  test('holds 256 and, of one session, 128, unless told otherwise', () => {
    const sim = new Simulation(CONFIG);
    for (let i = 0; i < 256; i++) {
      const sessionId = i < 128 ? 'x' : 'y';
      if (i === 128) expect(() => sim.add(request('more', { sessionId: 'x' }))).toThrow(full('^128 requests of this tab'));
      sim.add(request(`r${i}`, { sessionId }));
    }
    expect(() => sim.add(request('more', { sessionId: 'z' }))).toThrow(full('^256 requests wait'));
  });

  test('a request that takes the place of one that waits needs no other', () => {
    const sim = new Simulation({ ...CONFIG, maxNumWaiting: 1 });
    sim.add(request('a', { supersede: 'k' }));
    expect(sim.add(request('b', { supersede: 'k' }))).toMatchObject([{ requestId: 'a' }]);
  });

  test('says when to try again, from how fast requests have been ending', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1, maxNumWaiting: 1 });
    const refuse = (retryAfterMs: number): void => {
      expect(() => sim.add(request('more'))).toThrow(full('try again in', retryAfterMs));
    };
    sim.add(request('a'));
    refuse(1000); // nothing is known yet
    for (const id of ['b', 'c', 'd']) {
      sim.now += 397;
      for (let i = 0; i < 3; i++) sim.step();
      sim.add(request(id));
    }
    refuse(400);
    for (let i = 0; i < 30; i++) {
      sim.drain(); // three steps each
      sim.add(request(`r${i}`));
    }
    refuse(50); // no less
  });
});

describe('a resumed request', () => {
  const outputTokenIds = (() => {
    const sim = new Simulation(CONFIG);
    sim.add(request('a', {}, 12));
    sim.drain();
    return sim.journals.get('a')?.outputTokenIds ?? [];
  })();

  test('goes on behind what it has: positions, tokens and the length of the whole answer', () => {
    const sim = new Simulation(CONFIG);
    sim.add({ ...request('a', {}, 12), outputTokenIds: outputTokenIds.slice(0, 7) });
    expect(sim.step()).toMatchObject({
      plan: { requests: [{ startPosition: 0, tokenIds: { length: 4 + 7 }, samples: true }] },
      outputs: [{ newTokenIds: [outputTokenIds[7]] }],
    });
    sim.drain();
    expect(sim.journals.get('a')).toMatchObject({ outputTokenIds, finishReason: 'length' });
    expect(sim.scheduler.stats().generationTokens).toBe(5);
  });

  test('is refused by no limit of the queue, and counts for those after it', () => {
    const sim = new Simulation({ ...CONFIG, maxNumWaiting: 1, maxNumWaitingPerSession: 1 });
    sim.add(request('waiting'));
    for (const id of ['a', 'b']) sim.add({ ...request(id, {}, 12), outputTokenIds: [] });
    const error = expect.objectContaining({ code: 'queue_full', message: expect.stringContaining('3 requests') });
    expect(() => sim.add(request('new'))).toThrow(error);
    sim.drain();
    sim.checkAnswers();
  });

  test('is refused where it has all its tokens, or more than the context holds', () => {
    const sim = new Simulation(CONFIG);
    const add = (maxTokens: number, outputs: readonly number[], stopTokenIds: readonly number[] = []): unknown =>
      sim.add({ ...makeRequest('a', 4, { maxTokens, stopTokenIds }), outputTokenIds: outputs });
    const ended = expect.objectContaining({ code: 'invalid_request', param: 'outputTokenIds' });
    expect(() => add(12, outputTokenIds)).toThrow(ended);
    expect(() => add(20, [1, 2, 3], [3])).toThrow(ended);
    const error = expect.objectContaining({ code: 'context_length_exceeded', message: expect.stringMatching(/has 64 tokens/) });
    expect(() => add(100, Array<number>(60).fill(1))).toThrow(error);
    add(20, [3, 2, 1], [3]);
  });
});
