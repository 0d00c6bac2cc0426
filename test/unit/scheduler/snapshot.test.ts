import { expect, test } from 'vitest';
import { createRandom } from '../../support/random.ts';
import { CONFIG, makeRequest, randomRequest } from './requests.ts';
import { Simulation } from './simulation.ts';

test('a scheduler with nothing to do shows an empty pool', () => {
  expect(new Simulation(CONFIG).scheduler.snapshot()).toEqual({
    requests: [], maxNumSeqs: 4, pool: { numBlocks: 32, blockSize: 4, numFree: 32, cachedFree: [], shared: [] },
  });
});

test('who runs, who waits, how far each is, and which blocks they share', () => {
  const sim = new Simulation({ ...CONFIG, maxNumSeqs: 2 });
  const first = makeRequest('a', 9);
  sim.add(first);
  sim.step();
  sim.add({ ...makeRequest('b', 10), sessionId: 'other', promptTokenIds: [...first.promptTokenIds, 1] });
  sim.add(makeRequest('c', 5));
  sim.step();
  const { requests, pool } = sim.scheduler.snapshot();
  expect(requests).toMatchObject([
    { requestId: 'a', sessionId: 'tab', state: 'running', numTokens: 11, numComputedTokens: 10 },
    { requestId: 'b', sessionId: 'other', state: 'running', numTokens: 11, numComputedTokens: 10 },
    { requestId: 'c', sessionId: 'tab', state: 'waiting', numTokens: 5, numComputedTokens: 0 },
  ]);
  const [a = [], b = [], c] = requests.map(({ blockTable }) => blockTable);
  expect(b.slice(0, 2)).toEqual(a.slice(0, 2));
  expect(b[2]).not.toBe(a[2]);
  expect(c).toEqual([]);
  expect(pool.shared).toEqual(a.slice(0, 2).toSorted().map((block) => ({ block, refCount: 2 })));
  expect(pool.numFree).toBe(32 - 4);
  expect(pool.cachedFree).toEqual([]);
});

test('what a request leaves findable is free, and told apart from what holds nothing', () => {
  const sim = new Simulation(CONFIG);
  sim.add(makeRequest('a', 9, { maxTokens: 1 }));
  sim.step(() => expect(sim.scheduler.snapshot().requests[0]?.blockTable).toHaveLength(3));
  const { requests, pool } = sim.scheduler.snapshot();
  expect(requests).toEqual([]);
  expect(pool.numFree).toBe(32);
  expect(pool.cachedFree).toHaveLength(2); // the third block is not full
});

test('a request aborted in flight is shown for as long as it holds blocks', () => {
  const sim = new Simulation(CONFIG);
  sim.add(makeRequest('a', 9));
  sim.step(() => {
    sim.abort('a');
    expect(sim.scheduler.snapshot().requests).toMatchObject([{ requestId: 'a', blockTable: [0, 1, 2] }]);
  });
  expect(sim.scheduler.snapshot().requests).toEqual([]);
});

test('a picture is a picture: what comes after leaves it as it is', () => {
  const sim = new Simulation(CONFIG);
  sim.add(makeRequest('a', 4));
  sim.step();
  const before = sim.scheduler.snapshot();
  const copy = structuredClone(before);
  sim.drain();
  expect(before).toEqual(copy);
});

// By the snapshot alone: every block is held as often as it says, or free, and the free ones add up.
test('whatever happens, the numbers agree with the tables', () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = createRandom(seed);
    const sim = new Simulation({ ...CONFIG, numBlocks: 12, maxModelLen: 40 });
    for (let i = 0; i < 60; i++) {
      if (random.below(2) === 0) sim.add(randomRequest(random, `r${i}`, 40, i));
      if (random.below(8) === 0) sim.abort(`r${random.below(i + 1)}`);
      sim.step();
      const { requests, pool } = sim.scheduler.snapshot();
      const uses = new Map<number, number>();
      for (const block of requests.flatMap(({ blockTable }) => blockTable)) uses.set(block, (uses.get(block) ?? 0) + 1);
      const shared = [...uses].filter(([, count]) => count > 1).map(([block, refCount]) => ({ block, refCount }));
      expect(pool.shared).toEqual(shared.toSorted((a, b) => a.block - b.block));
      expect(pool.numFree).toBe(12 - uses.size);
      expect(pool.cachedFree.every((block) => !uses.has(block))).toBe(true);
      const { requestsWaiting } = sim.scheduler.stats();
      expect(requests.filter(({ state }) => state === 'waiting')).toHaveLength(requestsWaiting);
      for (const { state, numComputedTokens, numTokens, blockTable } of requests) {
        expect(numComputedTokens).toBeLessThanOrEqual(numTokens);
        expect(blockTable.length * 4).toBeGreaterThanOrEqual(numComputedTokens);
        if (state === 'waiting') expect(blockTable).toEqual([]);
      }
    }
  }
});
