import { describe, expect, test } from 'vitest';
import type { EngineRequest } from '../../../src/core/request.ts';
import type { SchedulerConfig } from '../../../src/core/scheduler-output.ts';
import { hashBlock, hashSalt } from '../../../src/scheduler/block-hash.ts';
import { type HashedSequence, PrefixCache } from '../../../src/scheduler/prefix-cache.ts';
import { CONFIG, makeRequest } from './requests.ts';
import { Simulation } from './simulation.ts';

const PROMPT = makeRequest('shared prompt', 60).promptTokenIds;

/** A request whose prompt is the first tokens of one that all share. */
function prompt(requestId: string, length: number, rest: Partial<EngineRequest> = {}, maxTokens = 1): EngineRequest {
  return { ...makeRequest(requestId, 1, { maxTokens }), promptTokenIds: PROMPT.slice(0, length), ...rest };
}

function cachedTokens(sim: Simulation, ...requests: readonly EngineRequest[]): (number | undefined)[] {
  for (const request of requests) sim.add(request);
  sim.drain();
  sim.checkAnswers();
  return requests.map(({ requestId }) => sim.journals.get(requestId)?.numCachedTokens);
}

const numFed = (sim: Simulation): number =>
  sim.runner.plans.reduce((sum, { totalNumScheduledTokens }) => sum + totalNumScheduledTokens, 0);

describe('what a prefix costs the second time', () => {
  test('full blocks are found again after their request has ended; the last token’s logits are always computed', () => {
    const sim = new Simulation(CONFIG);
    expect(cachedTokens(sim, prompt('a', 21))).toEqual([0]);
    expect(cachedTokens(sim, prompt('b', 21))).toEqual([20]);
    expect(cachedTokens(sim, prompt('c', 20))).toEqual([16]);
    expect(cachedTokens(sim, prompt('d', 23))).toEqual([20]);
    expect(cachedTokens(sim, prompt('e', 3))).toEqual([0]);
    expect(numFed(sim)).toBe(21 + 1 + 4 + 3 + 3);
    expect(sim.scheduler.stats()).toMatchObject({ prefixCacheQueries: 21 + 21 + 20 + 23 + 3, prefixCacheHits: 56 });
  });

  test('a session is told only of blocks that it has asked for before; others’ are used all the same', () => {
    const sim = new Simulation(CONFIG);
    const other = { sessionId: 'other tab' };
    cachedTokens(sim, prompt('theirs', 41));
    expect(cachedTokens(sim, prompt('first', 21, other))).toEqual([0]);
    expect(cachedTokens(sim, prompt('again', 21, other))).toEqual([20]); // as if it had computed them
    expect(cachedTokens(sim, prompt('longer', 41, other))).toEqual([20]);
    expect(cachedTokens(sim, prompt('longer again', 41, other))).toEqual([40]);
    expect(cachedTokens(sim, prompt('theirs again', 41))).toEqual([40]);
    expect(numFed(sim)).toBe(41 + 5 * 1);
    expect(sim.scheduler.stats().prefixCacheHits).toBe(20 + 20 + 3 * 40);
  });

  test('of a request that goes on behind its first tokens, its prompt alone is told: that is what is asked', () => {
    const sim = new Simulation(CONFIG);
    cachedTokens(sim, prompt('a', 6, {}, 20));
    const { outputTokenIds = [] } = sim.journals.get('a') ?? {};
    expect(cachedTokens(sim, prompt('resumed', 6, { outputTokenIds: outputTokenIds.slice(0, 15) }, 20))).toEqual([4]);
    expect(sim.scheduler.stats().prefixCacheHits).toBe(20); // all the same
  });

  test('nothing is told to a session that has ended', () => {
    const sim = new Simulation(CONFIG);
    cachedTokens(sim, prompt('a', 21), prompt('b', 21, { sessionId: 'other tab' }));
    sim.scheduler.abortSession('tab', 1);
    expect(cachedTokens(sim, prompt('c', 21))).toEqual([0]);
    expect(cachedTokens(sim, prompt('d', 21, { sessionId: 'other tab' }))).toEqual([20]);
  });

  test('what was generated is found as well: the next turn of a chat computes what is new', () => {
    const sim = new Simulation(CONFIG);
    cachedTokens(sim, prompt('turn 1', 10, {}, 12));
    const { outputTokenIds = [] } = sim.journals.get('turn 1') ?? {};
    const next = { promptTokenIds: [...PROMPT.slice(0, 10), ...outputTokenIds, 1, 2, 3] };
    // 10 + 12 tokens; the last one generated was never fed.
    expect(cachedTokens(sim, prompt('turn 2', 1, next))).toEqual([20]);
  });

  test('requests that come at the same time compute what they share once, those of other tabs too', () => {
    const sim = new Simulation(CONFIG);
    const requests = ['a', 'b', 'c', 'd'].map((id) => prompt(id, 41, { sessionId: `tab ${id}` }));
    expect(cachedTokens(sim, ...requests)).toEqual([0, 0, 0, 0]); // each is told only of what it has asked itself
    expect(sim.scheduler.stats().prefixCacheHits).toBe(3 * 40);
    expect(numFed(sim)).toBe(41 + 3);
  });

  test('a request does not wait for a block that nobody is computing', () => {
    const sim = new Simulation(CONFIG);
    sim.add(prompt('a', 8));
    sim.add(prompt('b', 4)); // its only full block holds the token whose logits it needs
    sim.add({ ...prompt('c', 7), promptTokenIds: [...PROMPT.slice(0, 3), 0, 1, 2] });
    expect(sim.step()?.plan.requests.map(({ requestId }) => requestId)).toEqual(['a', 'b', 'c']);
    sim.drain();
  });

  test('blocks in use are shared, and freed when the last one ends', () => {
    const sim = new Simulation(CONFIG);
    sim.add(prompt('a', 13, {}, 6));
    sim.step();
    sim.add(prompt('b', 14, {}, 12));
    const plan = sim.step()?.plan;
    const [a = [], b = []] = plan?.requests.map(({ blockTable }) => blockTable) ?? [];
    expect(b.slice(0, 3)).toEqual(a.slice(0, 3));
    expect(sim.scheduler.stats().kvBlocksUsed).toBe(new Set([...a, ...b]).size);
    sim.abort('a');
    expect(sim.scheduler.stats().kvBlocksUsed).toBe(b.length);
    sim.drain();
    sim.checkAnswers();
  });
});

describe('a request that waits for a prefix that is being computed', () => {
  const config: SchedulerConfig = { ...CONFIG, numBlocks: 300, maxModelLen: 600, maxNumSeqs: 3 };
  const long = makeRequest('long prompt', 512).promptTokenIds;
  const sharing = (id: string, maxTokens: number, rest: Partial<EngineRequest> = {}): EngineRequest => {
    return { ...makeRequest(id, 1, { maxTokens }), sessionId: id, promptTokenIds: long, ...rest };
  };
  const other = (id: string, promptLength: number, maxTokens: number, rest: Partial<EngineRequest> = {}): EngineRequest =>
    makeRequest(id, promptLength, { maxTokens }, { sessionId: id, ...rest });

  /** Adds what comes in the first step's wake, and says in which step each request has first been scheduled. */
  function firstSteps(sim: Simulation, first: EngineRequest, ...rest: readonly EngineRequest[]): (number | undefined)[] {
    sim.add(first);
    sim.step();
    for (const request of rest) sim.add(request);
    sim.drain();
    sim.checkAnswers();
    return rest.map(({ requestId }) => sim.journals.get(requestId)?.firstStep);
  }

  test('holds up nobody who shares nothing with it, and comes in as soon as without them', () => {
    const alone = firstSteps(new Simulation(config), sharing('computing', 9), sharing('waiting', 9));
    expect(alone).toEqual([33]);
    const sim = new Simulation(config);
    const steps = firstSteps(sim, sharing('computing', 9), sharing('waiting', 9), other('short', 5, 50));
    // Its 5 prompt tokens are a step's of the prefix, and it decodes with a token of each of the others.
    expect(steps).toEqual([36, 2]);
    expect(sim.scheduler.stats()).toMatchObject({ prefixCacheHits: 508, preemptions: 0 });
  });

  test('is passed over by those alone that leave it a slot', () => {
    const requests = [other('first', 5, 50), other('second', 5, 50)];
    const steps = firstSteps(new Simulation(config), sharing('computing', 9), sharing('waiting', 9), ...requests);
    const [waiting = 0, first, second = 0] = steps;
    expect(first).toBe(2);
    expect(waiting).toBe(36);
    expect(second).toBeGreaterThan(waiting);
  });

  test('is passed over by those alone that leave it its blocks', () => {
    // The prefix takes 128, what follows it 20 and the wait's own 20.
    const tight = { ...config, numBlocks: 128 + 20 + 20 + 10, maxModelLen: 640 };
    const own = (id: string): EngineRequest => sharing(id, 4, { promptTokenIds: [...long, ...makeRequest(id, 78).promptTokenIds] });
    const at = (promptLength: number): (number | undefined)[] =>
      firstSteps(new Simulation(tight), own('computing'), own('waiting'), other('passing', promptLength, 4));
    expect(at(28)).toEqual([35, 2]); // 7 blocks, and one for the next token of each that runs
    expect(at(36)).toEqual([33, 43]); // as in the queue
  });

  test('is passed over by none that is less urgent', () => {
    const less = other('less urgent', 5, 4, { priority: 1 });
    expect(firstSteps(new Simulation(config), sharing('computing', 9), sharing('waiting', 9), less)).toEqual([33, 33]);
  });
});

describe('what is not shared', () => {
  test('requests of different salts, whatever their tokens; those of the same salt do share', () => {
    const sim = new Simulation(CONFIG);
    expect(cachedTokens(sim, prompt('a', 21, { cacheSalt: 'x' }))).toEqual([0]);
    expect(cachedTokens(sim, prompt('b', 21, { cacheSalt: 'y' }))).toEqual([0]);
    expect(cachedTokens(sim, prompt('c', 21))).toEqual([0]);
    expect(cachedTokens(sim, prompt('d', 21, { cacheSalt: 'x' }))).toEqual([20]);
    expect(cachedTokens(sim, prompt('e', 21, { cacheSalt: '' }))).toEqual([20]);
  });

  test('the same tokens behind other ones', () => {
    const sim = new Simulation(CONFIG);
    const [, ...rest] = PROMPT.slice(0, 21);
    cachedTokens(sim, prompt('a', 21));
    expect(cachedTokens(sim, prompt('b', 1, { promptTokenIds: [(PROMPT[0] ?? 0) + 1, ...rest] }))).toEqual([0]);
  });

  test.each([1, 2])('blocks that differ and have the same hash (%i hashes)', (numHashes) => {
    const sim = new Simulation(CONFIG, (...block) => hashBlock(...block) % numHashes);
    for (let i = 0; i < 20; i++) cachedTokens(sim, makeRequest(`r${i}`, 21), prompt(`p${i}`, 9 + i));
    cachedTokens(sim, prompt('salted', 21, { cacheSalt: 'x' }));
  });
});

describe('eviction', () => {
  const config: SchedulerConfig = { ...CONFIG, numBlocks: 8, maxModelLen: 32 };
  const other = (id: string, length: number) => makeRequest(id, length, { maxTokens: 1 });

  test('takes what was used least recently, and the end of a prompt before its beginning', () => {
    const sim = new Simulation(config);
    cachedTokens(sim, other('old', 12)); // 3 of 8 blocks
    cachedTokens(sim, prompt('a', 16)); // 4
    cachedTokens(sim, other('new', 12)); // the free one; then old's last two
    expect(cachedTokens(sim, prompt('a again', 16))).toEqual([12]);
    cachedTokens(sim, other('x', 8)); // old's first, and what a's last was (computed again)
    expect(cachedTokens(sim, { ...other('old', 12), requestId: 'old again' })).toEqual([0]);
  });

  test('using a prefix makes it the most recent', () => {
    const sim = new Simulation(config);
    cachedTokens(sim, prompt('a', 13)); // 3 full blocks and part of one
    cachedTokens(sim, other('b', 13));
    cachedTokens(sim, prompt('a again', 13));
    cachedTokens(sim, other('c', 13)); // 4 blocks: those of b go, not those of a
    expect(cachedTokens(sim, prompt('a', 13, { requestId: 'a once more' }))).toEqual([12]);
    expect(cachedTokens(sim, { ...other('b', 13), requestId: 'b again' })).toEqual([0]);
  });
});

describe('PrefixCache', () => {
  const sequence = (tokenIds: readonly number[], cacheSalt = ''): HashedSequence => ({ tokenIds, cacheSalt, blockHashes: [] });

  test('finds blocks in order, up to the first that is not there, and no more than asked for', () => {
    const cache = new PrefixCache(2);
    const held = sequence([1, 2, 3, 4, 5, 6]);
    const first = cache.insert(held, [], 7);
    if (first === undefined) throw new Error('not inserted');
    const second = cache.insert(held, [first], 3);
    expect(cache.find(sequence([1, 2, 3, 4, 5, 6]), 3)).toEqual([first, second]);
    expect(cache.find(sequence([1, 2, 3, 4]), 1)).toEqual([first]);
    expect(cache.find(sequence([1, 2, 4, 3]), 2)).toEqual([first]);
    expect(cache.find(sequence([3, 4, 1, 2]), 2)).toEqual([]);
    cache.evict(3);
    expect(cache.find(held, 3)).toEqual([first]);
    cache.checkIntegrity();
    expect(cache.size).toBe(1);
  });

  test('the same content a second time is the first block; other content of the same hash stays out', () => {
    const cache = new PrefixCache(2, () => 5);
    const first = cache.insert(sequence([1, 2]), [], 0);
    expect(cache.insert(sequence([1, 2]), [], 1)).toBe(first);
    expect(cache.insert(sequence([1, 3]), [], 2)).toBeUndefined();
    expect(cache.insert(sequence([1, 2], 'salt'), [], 3)).toBeUndefined();
    expect(cache.find(sequence([1, 3]), 1)).toEqual([]);
    expect(cache.find(sequence([1, 2], 'salt'), 1)).toEqual([]);
  });

  test('the same tokens behind other ones are other content, also where their hashes are the same', () => {
    const cache = new PrefixCache(1, (_, tokenIds, start) => tokenIds[start] ?? 0);
    const a = cache.insert(sequence([1, 3]), [], 0);
    const b = cache.insert(sequence([2, 3]), [], 1);
    if (a === undefined || b === undefined) throw new Error('not inserted');
    cache.insert(sequence([1, 3]), [a], 2);
    expect(cache.find(sequence([2, 3]), 2)).toEqual([b]);
    expect(cache.insert(sequence([2, 3]), [b], 3)).toBeUndefined();
  });

  test('forgets a block with all that come after it, and no others', () => {
    const cache = new PrefixCache(1);
    const held = sequence([1, 2, 3]);
    const a = cache.insert(held, [], 0);
    if (a === undefined) throw new Error('not inserted');
    const b = cache.insert(held, [a], 1);
    if (b === undefined) throw new Error('not inserted');
    cache.insert(held, [a, b], 2);
    cache.insert(sequence([1, 9]), [a], 3);
    cache.forget(b);
    cache.checkIntegrity();
    expect(cache.find(held, 3)).toEqual([a]);
    expect(cache.find(sequence([1, 9]), 2)).toHaveLength(2);
  });

  test('checkIntegrity finds a block whose parent has gone', () => {
    const cache = new PrefixCache(1);
    const held = sequence([1, 2]);
    const a = cache.insert(held, [], 0);
    if (a === undefined) throw new Error('not inserted');
    cache.insert(held, [a], 1);
    cache.evict(0);
    expect(() => cache.checkIntegrity()).toThrow(/the one before it is not/);
  });
});

describe('block hashes', () => {
  test('depend on every token, on their order, on what came before, and on the salt', () => {
    const hashes = new Set<number>();
    for (const parent of [hashSalt(''), hashSalt('a'), hashSalt('b'), hashSalt('ab')]) {
      for (let i = 0; i < 4; i++) {
        for (let token = 0; token < 500; token++) {
          const tokens = [7, 7, 7, 7];
          tokens[i] = 8 + token;
          hashes.add(hashBlock(parent, tokens, 0, 4));
        }
      }
    }
    expect(hashes.size).toBe(4 * 4 * 500);
    expect(hashBlock(0, [9, 1, 2, 9], 1, 3)).toBe(hashBlock(0, [1, 2], 0, 2));
    for (const hash of hashes) expect(Number.isSafeInteger(hash) && hash >= 0).toBe(true);
  });
});
