import { expect, test } from 'vitest';
import type { EngineRequest, RequestOutput } from '../../../src/core/request.ts';
import type { HashBlock } from '../../../src/scheduler/block-hash.ts';
import { Scheduler } from '../../../src/scheduler/scheduler.ts';
import { createRandom } from '../../support/random.ts';
import { FakeRunner, runAlone, VOCAB_SIZE } from './fake-runner.ts';
import { CONFIG, makeRequest as makeAnyRequest } from './requests.ts';

const { blockSize, numBlocks } = CONFIG;

/** Of a session that allows that its prompts are kept. */
function makeRequest(...[requestId, length, sampling, rest]: Parameters<typeof makeAnyRequest>): EngineRequest {
  return makeAnyRequest(requestId, length, sampling, { persistPrefix: true, ...rest });
}

/** A scheduler over the fake runner, whose steps can be interrupted. */
function start(hash?: HashBlock, config = CONFIG) {
  const scheduler = new Scheduler(config, hash);
  const runner = new FakeRunner(config);
  const ended = new Map<string, { outputTokenIds: number[]; cached: number }>();
  let now = 0;
  const record = ({ requestId, newTokenIds, numCachedTokens }: RequestOutput): void => {
    const all = ended.get(requestId) ?? { outputTokenIds: [], cached: numCachedTokens };
    all.outputTokenIds.push(...newTokenIds);
    ended.set(requestId, all);
  };
  const step = (meanwhile: () => void = () => {}): boolean => {
    const plan = scheduler.schedule(++now);
    if (plan === undefined) return false;
    meanwhile();
    scheduler.checkIntegrity();
    for (const output of scheduler.update(plan, runner.executeNow(plan), now)) record(output);
    scheduler.checkIntegrity();
    return true;
  };
  const run = (...requests: readonly EngineRequest[]): void => {
    for (const request of requests) scheduler.add(request);
    while (step());
  };
  return { scheduler, runner, ended, step, run };
}

type Kept = Map<string, readonly number[]>;

/** Keeps the KV of all hot prefixes, by the tokens from the start through each block. */
function keep({ scheduler, runner }: ReturnType<typeof start>, kept: Kept, minBlocks = 1): void {
  for (const chain of scheduler.prefixes.hot(minBlocks)) {
    const tokenIds: number[] = [];
    for (const cached of chain) {
      expect(scheduler.prefixes.holds(cached)).toBe(true);
      tokenIds.push(...cached.tokenIds);
      kept.set(tokenIds.join(), runner.readBlock(cached.block));
    }
  }
}

function adopt({ scheduler, runner }: ReturnType<typeof start>, tokens: string, kv: readonly number[]) {
  return scheduler.prefixes.adopt(tokens.split(',').map(Number), (block) => runner.writeBlock(block, kv));
}

const asked = makeRequest('first', 22);
const again = { ...asked, requestId: 'again' };

test('a prefix is hot once a later request has found it, and as far as that found it', () => {
  const { scheduler, run } = start();
  run(asked);
  expect(scheduler.prefixes.hot(1)).toEqual([]);
  run({ ...again, promptTokenIds: asked.promptTokenIds.slice(0, 13) });
  const [chain, ...others] = scheduler.prefixes.hot(3);
  expect(others).toEqual([]);
  expect(chain?.map(({ tokenIds }) => tokenIds)).toEqual(
    [0, 4, 8].map((start) => asked.promptTokenIds.slice(start, start + blockSize)),
  );
  expect(scheduler.prefixes.hot(4)).toEqual([]);
  run({ ...again, requestId: 'longer' });
  expect(scheduler.prefixes.hot(1).map(({ length }) => length)).toEqual([5]); // what it is the start of is not named twice
});

test('those found last come first; what has a salt, and what is gone, is never hot', () => {
  const { scheduler, run } = start();
  const other = makeRequest('other', 22);
  const salted = { ...makeRequest('salted', 22), cacheSalt: 'mine' };
  for (const request of [asked, other, salted]) run(request, { ...request, requestId: `${request.requestId} 2` });
  const firstTokens = (): number[][] => scheduler.prefixes.hot(1).map(([first]) => [...(first?.tokenIds ?? [])]);
  expect(firstTokens()).toEqual([other, asked].map(({ promptTokenIds }) => promptTokenIds.slice(0, blockSize)));
  run(again);
  expect(firstTokens()).toEqual([asked, other].map(({ promptTokenIds }) => promptTokenIds.slice(0, blockSize)));
  const [listed] = scheduler.prefixes.hot(1)[0] ?? [];
  if (listed === undefined) throw new Error('nothing is hot');
  for (let i = 0; i < 6; i++) run(makeRequest(`filler ${i}`, 50));
  expect(scheduler.prefixes.hot(1)).toEqual([]);
  expect(scheduler.prefixes.holds(listed)).toBe(false);
});

test('only requests that may be kept make a prefix hot, as far as they ask for it themselves', () => {
  const { scheduler, run } = start();
  const lengths = (): number[] => scheduler.prefixes.hot(1).map(({ length }) => length);
  const others = { ...asked, sessionId: 'other tab', persistPrefix: false };
  for (const id of ['o1', 'o2', 'o3']) run({ ...others, requestId: id });
  expect(lengths()).toEqual([]);
  const short = { ...asked, promptTokenIds: asked.promptTokenIds.slice(0, 13) };
  run({ ...short, requestId: 's1' });
  expect(lengths()).toEqual([]); // asked once: that others had asked it before does not count
  run({ ...others, requestId: 'o4' });
  expect(lengths()).toEqual([]);
  run({ ...short, requestId: 's2' });
  expect(lengths()).toEqual([3]); // what others asked behind it stays theirs
  run(others);
  expect(lengths()).toEqual([3]);
});

test('what was hot is not any more once that is forgotten, until it is asked for again', () => {
  const { scheduler, run } = start();
  run(asked, again);
  expect(scheduler.prefixes.hot(1)).toHaveLength(1);
  scheduler.prefixes.cool();
  expect(scheduler.prefixes.hot(1)).toEqual([]);
  run({ ...asked, requestId: 'once more' });
  expect(scheduler.prefixes.hot(1)).toEqual([]);
  run({ ...asked, requestId: 'twice more' });
  expect(scheduler.prefixes.hot(1).map(({ length }) => length)).toEqual([5]);
});

test('other choices of a request make nothing hot', () => {
  const { scheduler, run } = start();
  run(asked, { ...again, choice: 1 });
  expect(scheduler.stats().prefixCacheHits).toBe(20);
  expect(scheduler.prefixes.hot(1)).toEqual([]);
});

test('a preempted request that finds its own blocks makes nothing hot', () => {
  const { scheduler, run } = start();
  run(makeRequest('a', 40, { maxTokens: 24 }), makeRequest('b', 40, { maxTokens: 24 }), makeRequest('c', 40, { maxTokens: 24 }));
  expect(scheduler.stats().preemptions).toBeGreaterThan(0);
  expect(scheduler.prefixes.hot(1)).toEqual([]);
});

test('adopted blocks are found by the next request, and their KV is used', () => {
  const before = start();
  before.run(asked, again);
  const kept: Kept = new Map();
  keep(before, kept);
  expect(kept.size).toBe(5);

  const after = start();
  for (const [tokens, kv] of kept) expect(adopt(after, tokens, kv)).toBe('adopted');
  for (const [tokens, kv] of kept) expect(adopt(after, tokens, kv)).toBe('there');
  expect(after.scheduler.stats().kvBlocksUsed).toBe(0);
  after.run(asked);
  expect(after.ended.get('first')).toEqual({ outputTokenIds: runAlone(asked, 64).outputTokenIds, cached: 20 });
  // That it is this KV and no other: a wrong one gives another answer.
  const wrong = start();
  for (const [tokens, kv] of kept) adopt(wrong, tokens, kv.map((value) => value + 1));
  wrong.run(asked);
  expect(wrong.ended.get('first')?.outputTokenIds).not.toEqual(runAlone(asked, 64).outputTokenIds);
});

test('a block whose start is missing is an orphan, and nothing is written for it', () => {
  const { scheduler } = start();
  const never = (): never => expect.unreachable();
  expect(scheduler.prefixes.adopt(asked.promptTokenIds.slice(0, 8), never)).toBe('orphan');
  scheduler.checkIntegrity();
});

test('equal hashes of other tokens: what is there stays, what comes is refused', () => {
  const one = start(() => 7);
  one.run(asked);
  const other = makeRequest('other', 22);
  const never = (): never => expect.unreachable();
  expect(one.scheduler.prefixes.adopt(other.promptTokenIds.slice(0, 4), never)).toBe('collision');
  one.run({ ...again, promptTokenIds: other.promptTokenIds });
  expect(one.ended.get('again')).toMatchObject({ cached: 0, outputTokenIds: runAlone({ ...other }, 64).outputTokenIds });
});

test('half of the pool stays free, and nothing findable is evicted', () => {
  const { scheduler, run } = start();
  run(asked); // fills 7 blocks and leaves 7 findable
  const before = scheduler.prefixes;
  const adopted: string[] = [];
  for (let token = 0; adopted.at(-1) !== 'full'; token++) adopted.push(before.adopt([token, 1, 2, 3], () => {}));
  expect(adopted).toEqual([...Array<string>(numBlocks / 2 - 7).fill('adopted'), 'full']);
  run(again);
  expect(scheduler.prefixes.hot(5)).toHaveLength(1);
  scheduler.checkIntegrity();
});

test('a write that fails leaves nothing behind', () => {
  const { scheduler } = start();
  const fail = (): never => {
    throw new Error('lost');
  };
  expect(() => scheduler.prefixes.adopt([1, 2, 3, 4], fail)).toThrow('lost');
  scheduler.checkIntegrity();
  expect(scheduler.prefixes.adopt([1, 2, 3, 4], () => {})).toBe('adopted');
});

const BAD_HASH: HashBlock = (parent, tokenIds, start) => (parent + (tokenIds[start] ?? 0)) % 5;

test.each([
  ...Array.from({ length: 30 }, (_, seed) => [seed, 'hash', undefined] as const),
  ...Array.from({ length: 10 }, (_, seed) => [seed, 'bad hash', BAD_HASH] as const),
])('seed %i, %s: adoption at any time, also while a plan executes, changes no answer', (seed, _name, hash) => {
  const random = createRandom(seed);
  const kept: Kept = new Map();
  const starts = Array.from({ length: 3 }, () => Array.from({ length: 44 }, () => random.below(VOCAB_SIZE)));
  let adopted = 0;
  for (let life = 0; life < 4; life++) {
    const engine = start(hash, { ...CONFIG, numBlocks: 24 + 16 * random.below(4) });
    const requests = Array.from({ length: 25 }, (_, i) => {
      const shared = starts[random.below(3)]?.slice(0, random.below(45)) ?? [];
      const promptTokenIds = [...shared, ...Array.from({ length: 1 + random.below(6) }, () => random.below(VOCAB_SIZE))];
      const salt = random.below(6) === 0 ? { cacheSalt: 'mine' } : {};
      return makeRequest(`${life} ${i}`, 1, { maxTokens: 1 + random.below(12) }, { promptTokenIds, ...salt });
    });
    const pending = [...requests];
    const adoptSome = (): void => {
      for (const [tokens, kv] of kept) {
        if (random.below(3) === 0 && adopt(engine, tokens, kv) === 'adopted') adopted++;
      }
    };
    while (pending.length > 0) {
      for (let n = random.below(3); n > 0; n--) pending.splice(0, 1).forEach((each) => engine.scheduler.add(each));
      if (random.below(2) === 0) adoptSome();
      engine.step(adoptSome);
      keep(engine, kept, 1 + random.below(3));
    }
    while (engine.step(adoptSome));
    for (const request of requests) {
      const { outputTokenIds } = engine.ended.get(request.requestId) ?? {};
      expect(outputTokenIds, request.requestId).toEqual(runAlone(request, CONFIG.maxModelLen).outputTokenIds);
    }
  }
  expect(kept.size).toBeGreaterThan(0);
  expect(adopted).toBeGreaterThan(0);
});
