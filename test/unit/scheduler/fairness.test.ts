import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EngineRequest } from '../../../src/core/request.ts';
import { CONFIG, makeRequest } from './requests.ts';
import { propertyParameters } from './scenario.ts';
import { type Journal, Simulation } from './simulation.ts';

const sessionOf = ({ request }: Journal): string => request.sessionId;
const hasRun = ({ firstStep }: Journal): boolean => firstStep !== undefined;

/** What a session has been given: a token for each of its prompts' that was computed, two for each generated. */
function service(sim: Simulation, sessionId: string): number {
  const costs = [...sim.journals.values()].filter((journal) => sessionOf(journal) === sessionId && hasRun(journal)).map(
    ({ request, outputTokenIds, numCachedTokens }) =>
      request.promptTokenIds.length - numCachedTokens + 2 * outputTokenIds.length,
  );
  return costs.reduce((sum, cost) => sum + cost, 0);
}

function add(sim: Simulation, id: string, sessionId: string, length: number, maxTokens: number, rest: Partial<EngineRequest> = {}): void {
  sim.add(makeRequest(id, length, { maxTokens }, { sessionId, arrivalTime: sim.now, ...rest }));
}

/** Sessions whose requests are of a size each, random for each request within it. */
const sessions = fc.array(
  fc.record({
    promptLength: fc.integer({ min: 1, max: 40 }),
    maxTokens: fc.integer({ min: 1, max: 20 }),
    sizes: fc.array(fc.record({ prompt: fc.nat(3), output: fc.nat(3) }), { minLength: 10, maxLength: 20 }),
  }),
  { minLength: 2, maxLength: 4 },
);

const MAX_COST = 40 + 3 + 2 * (20 + 3);

describe('sessions that all have requests waiting', () => {
  test('the one that has more going than one request has been given no more than another but for a batch', () => {
    const property = fc.property(
      sessions,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 20, max: 100 }),
      fc.integer({ min: 4, max: 40 }),
      (loads, maxNumSeqs, numBlocks, maxNumBatchedTokens) => {
        const sim = new Simulation({ ...CONFIG, maxModelLen: 80, numBlocks, maxNumSeqs, maxNumBatchedTokens });
        for (const [s, { promptLength, maxTokens, sizes }] of loads.entries()) {
          for (const [i, { prompt, output }] of sizes.entries()) {
            add(sim, `${s}-${i}`, `tab${s}`, promptLength + prompt, maxTokens + output);
          }
        }
        const going = (id: string): number => sim.live.filter((each) => hasRun(each) && sessionOf(each) === id).length;
        const waitingNow = () => new Set(sim.live.filter((journal) => !hasRun(journal)).map(sessionOf));
        for (;;) {
          const before = sim.live.filter(hasRun).map(sessionOf);
          sim.step(() => {
            // Nobody gets a second request in while another waits with none.
            const sessionsWithMore = sim.live.filter((each) => each.firstStep === sim.now).map(sessionOf);
            const isSecond = sessionsWithMore.some((id) => before.includes(id) || going(id) > 1);
            if (isSecond) expect([...waitingNow()].map(going)).not.toContain(0);
          });
          const waiting = waitingNow();
          if (waiting.size < loads.length) break;
          // With one slot, nobody can have a second request going, and whoever comes next is the poorest.
          const given = Array.from(waiting, (id) => ({ tokens: service(sim, id), counts: going(id) > 1 || maxNumSeqs === 1 }));
          const least = Math.min(...given.map(({ tokens }) => tokens));
          const most = Math.max(0, ...given.filter(({ counts }) => counts).map(({ tokens }) => tokens));
          expect(most - least).toBeLessThanOrEqual(maxNumSeqs * MAX_COST);
        }
      },
    );
    fc.assert(property, propertyParameters(40));
  });
});

describe('a session with one request', () => {
  test('has its first token after its own prompt’s steps and a few, whatever fifty others of another session do', () => {
    const property = fc.property(
      sessions,
      fc.integer({ min: 2, max: 4 }),
      fc.nat(60),
      fc.integer({ min: 1, max: 60 }),
      (loads, maxNumSeqs, numSteps, promptLength) => {
        const budget = 32;
        const sim = new Simulation({ ...CONFIG, maxModelLen: 80, numBlocks: 100, maxNumSeqs, maxNumBatchedTokens: budget });
        const sizes = loads.flatMap((load) => load.sizes.map((size) => ({ ...load, ...size })));
        for (let i = 0; i < 50; i++) {
          const { prompt = 0, output = 0, promptLength: base = 9, maxTokens = 9 } = sizes[i % sizes.length] ?? {};
          add(sim, `r${i}`, 'crowd', base + prompt, maxTokens + output);
        }
        for (let i = 0; i < numSteps; i++) sim.step();
        const came = sim.now;
        add(sim, 'single', 'other', promptLength, 5);
        let numTokens = 0;
        while (numTokens === 0) {
          const outputs = sim.step()?.outputs ?? [];
          numTokens = outputs.find(({ requestId }) => requestId === 'single')?.newTokenIds.length ?? 0;
        }
        // A decoding request takes a token; each prompt before it half of what is left, or all that it lacks. A step in
        // which nothing is left for another ends one of those prompts, and nobody comes in before it.
        const share = Math.floor((budget - maxNumSeqs) / 2 ** (maxNumSeqs - 1));
        expect(sim.journals.get('single')?.firstStep).toBeLessThanOrEqual(came + maxNumSeqs);
        expect(sim.now - came).toBeLessThan(maxNumSeqs + Math.ceil(promptLength / share));
      },
    );
    fc.assert(property, propertyParameters(60));
  });

  test('with one slot waits for the request that has it, not for those before it in the queue', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1 });
    for (let i = 0; i < 50; i++) add(sim, `r${i}`, 'crowd', 4, 6);
    sim.step();
    add(sim, 'single', 'other', 4, 1);
    while (sim.journals.get('r0')?.finishReason === undefined) sim.step();
    expect(sim.step()?.plan.requests).toMatchObject([{ requestId: 'single' }]);
  });
});

describe('fair preemption', () => {
  const ids = (sim: Simulation): string[] => sim.step()?.plan.requests.map(({ requestId }) => requestId) ?? [];

  test('a session with nothing running takes the newest place of the session with the most, at once', () => {
    const sim = new Simulation(CONFIG);
    for (const id of ['a', 'b', 'c']) add(sim, id, 'crowd', 4, 20);
    add(sim, 'd', 'pair', 4, 20);
    sim.step();
    add(sim, 'e', 'other', 4, 3);
    expect(ids(sim)).toEqual(['a', 'd', 'b', 'e']);
    expect(sim.scheduler.stats()).toMatchObject({ preemptions: 1, requestsWaiting: 1 });
    while (sim.journals.get('e')?.finishReason === undefined) sim.step();
    // It comes back to what it had computed, but for the block that was not full.
    const back = sim.step()?.plan.requests.find(({ requestId }) => requestId === 'c');
    expect(back).toMatchObject({ startPosition: 4, tokenIds: { length: 1 } });
    sim.drain();
    sim.checkAnswers();
  });

  test('takes no session’s only place, and none of a more urgent request', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 3 });
    add(sim, 'a', 'urgent', 4, 20, { priority: -1 });
    add(sim, 'b', 'urgent', 4, 20, { priority: -1 });
    add(sim, 'c', 'single', 4, 20);
    sim.step();
    add(sim, 'd', 'other', 4, 3);
    expect(ids(sim)).toEqual(['a', 'b', 'c']);
    sim.drain();
    expect(sim.scheduler.stats().preemptions).toBe(0);
  });

  test('is for sessions with nothing running only', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 4 });
    for (const id of ['a', 'b', 'c']) add(sim, id, 'crowd', 4, 20);
    add(sim, 'd', 'pair', 4, 20);
    sim.step();
    add(sim, 'e', 'pair', 4, 3);
    expect(ids(sim)).toEqual(['a', 'd', 'b', 'c']);
  });
});

describe('who comes next', () => {
  /** The order in which waiting requests get the one slot. */
  function order(sim: Simulation): string[] {
    sim.drain();
    const journals = [...sim.journals].toSorted(([, a], [, b]) => (a.firstStep ?? 0) - (b.firstStep ?? 0));
    return journals.map(([id]) => id);
  }

  test('the session that has been given the fewest tokens: a long answer costs its turns', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1 });
    for (const i of [1, 2, 3]) add(sim, `long${i}`, 'x', 10, 20); // 10 + 2 * 20 each
    for (const i of [1, 2, 3, 4]) add(sim, `short${i}`, 'y', 2, 5); // 2 + 2 * 5
    expect(order(sim)).toEqual(['long1', 'short1', 'short2', 'short3', 'short4', 'long2', 'long3']);
  });

  test('a preempted request before a new one, of a session that has been given less too', () => {
    const sim = new Simulation({ ...CONFIG, numBlocks: 18, maxNumSeqs: 5, maxNumBatchedTokens: 64 });
    const ids = (): string[] => (sim.step()?.plan.requests.map(({ requestId }) => requestId) ?? []).toSorted();
    add(sim, 'x1', 'x', 8, 12);
    add(sim, 'y1', 'y', 4, 12);
    add(sim, 'short', 'z', 20, 7);
    for (const id of ['x2', 'x3']) add(sim, id, 'x', 8, 12);
    expect(ids()).toHaveLength(5);
    while (sim.scheduler.stats().preemptions === 0) sim.step();
    add(sim, 'y2', 'y', 4, 12);
    while (sim.journals.get('short')?.finishReason === undefined) expect(ids()).toEqual(['short', 'x1', 'x2', 'y1']);
    // Meanwhile x was given two tokens a step, y one.
    expect(ids()).toEqual(['x1', 'x2', 'x3', 'y1']);
    sim.drain();
    sim.checkAnswers();
  });

  test('what the prefix cache gives costs nothing', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1 });
    const shared = { promptTokenIds: makeRequest('shared', 41).promptTokenIds };
    add(sim, 'first', 'z', 41, 1, shared);
    sim.drain();
    for (const i of [1, 2, 3]) add(sim, `cached${i}`, 'x', 41, 1, shared); // 1 + 2 each
    for (const i of [1, 2, 3]) add(sim, `new${i}`, 'y', 6, 1); // 6 + 2
    // 0, 0; 3, 0; 3, 8; 6, 8; 9, 8
    expect(order(sim).slice(1)).toEqual(['cached1', 'new1', 'cached2', 'cached3', 'new2', 'new3']);
  });

  test('a session that was away has no credit, and one that was given much keeps its debt while it has requests', () => {
    const sim = new Simulation({ ...CONFIG, maxNumSeqs: 1 });
    for (let i = 1; i <= 5; i++) add(sim, `x${i}`, 'x', 2, 4); // 10 each
    while (sim.journals.get('x3')?.firstStep === undefined) sim.step();
    for (let i = 1; i <= 3; i++) add(sim, `y${i}`, 'y', 2, 4);
    // y starts from what x has been charged: they take turns, instead of y's three first.
    expect(order(sim)).toEqual(['x1', 'x2', 'x3', 'y1', 'x4', 'y2', 'x5', 'y3']);
  });
});
