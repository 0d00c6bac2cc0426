import { expect, test } from 'vitest';
import { MIN_BLOCKS, MEASURED_BLOCKS } from '../../../src/engine/prefix-keeper.ts';
import { runAlone } from '../scheduler/fake-runner.ts';
import { again, asked, config, keptStorage, makeRequest, numKept, start } from './keeping-engine.ts';

test('what is hot is kept when there is nothing to do, and found by the next engine', async () => {
  const storage = await keptStorage();
  const next = start({ storage });
  await next.settle();
  expect(next.lines).toEqual([expect.stringMatching(/^Prefix cache: restored 10 blocks, at 4000 tokens\/s; computing gives \d+ /)]);
  expect(next.engine.stats()).toMatchObject({ kvBlocksUsed: 0, prefixCacheHits: 0 });
  next.scheduler.checkIntegrity();
  await next.ask(asked);
  expect(next.answer('asked')).toEqual({ outputTokenIds: runAlone(asked, 64).outputTokenIds, cached: 40 });
});

test('what is kept already is not written again, but noted as used', async () => {
  const storage = await keptStorage();
  const used = (): number[] => (storage.manifests.get('set')?.blocks ?? []).map(({ lastUsed }) => lastUsed);
  const before = used();
  const next = start({ storage, stepMs: 5000 });
  await next.settle();
  await next.ask(makeRequest('other', 10)); // time goes by
  await next.ask(asked);
  expect(next.seen.reads).toBe(0);
  expect(Math.min(...used())).toBeGreaterThan(Math.max(...before));
  expect(numKept(next)).toBe(10);
});

test('a prefix shorter than the least, and one with a salt, is not kept', async () => {
  const engine = start();
  const short = makeRequest('short', (MIN_BLOCKS - 1) * config.blockSize + 1);
  const salted = { ...asked, cacheSalt: 'mine' };
  await engine.ask(short, salted);
  await engine.ask({ ...short, requestId: 'short 2' }, { ...salted, requestId: 'salted 2' });
  expect(engine.answer('salted 2').cached).toBe(40);
  expect(engine.seen.reads).toBe(0);
  expect(numKept(engine)).toBe(0);
});

test('a request that comes while blocks are kept ends that before the next block, and it goes on later', async () => {
  const engine = start();
  const comes = makeRequest('comes', 10, { maxTokens: 20 });
  await engine.ask(asked);
  const generated: number[] = [];
  engine.hooks.onCopy = () => {
    generated.push(engine.answer('comes').outputTokenIds.length);
    if (engine.seen.reads === 3) engine.engine.add(comes);
  };
  await engine.ask(again);
  expect(generated).toEqual([0, 0, 0, 20, 20, 20, 20, 20, 20, 20]);
  expect(numKept(engine)).toBe(10);
  expect(engine.answer('comes').outputTokenIds).toEqual(runAlone(comes, 64).outputTokenIds);
});

test('a request that comes while blocks are restored does not wait for them', async () => {
  const storage = await keptStorage();
  const next = start({ storage });
  next.hooks.onCopy = () => {
    if (next.seen.writes === 3) next.engine.add(asked);
  };
  await next.settle();
  next.scheduler.checkIntegrity();
  // It found what was there, and computed the rest, which then needs no restoring.
  expect(next.answer('asked')).toEqual({ outputTokenIds: runAlone(asked, 64).outputTokenIds, cached: 12 });
  expect(next.seen.writes).toBe(3);
});

test('no block is restored while a request runs', async () => {
  const storage = await keptStorage();
  const next = start({ storage });
  const generated: number[] = [];
  const comes = makeRequest('comes', 10, { maxTokens: 20 });
  next.hooks.onCopy = () => {
    generated.push(next.answer('comes').outputTokenIds.length);
    if (next.seen.writes === 3) next.engine.add(comes);
  };
  await next.settle();
  expect(generated).toEqual([0, 0, 0, 20, 20, 20, 20, 20, 20, 20]);
  expect(next.lines).toEqual([expect.stringContaining('restored 10 blocks')]);
});

test('what a request takes while a block is read is not counted as that block\'s', async () => {
  const storage = await keptStorage();
  const next = start({ storage, stepMs: 5000 });
  const readPart = storage.readPart.bind(storage);
  storage.readPart = async (...part) => {
    if (storage.partsRead === 2) await next.finish(makeRequest('comes', 10));
    return readPart(...part);
  };
  await next.settle();
  expect(next.answer('comes').outputTokenIds).toHaveLength(8);
  expect(next.lines).toEqual([expect.stringMatching(/restored 10 blocks, at 4000 tokens/)]);
});

test('a block that is handed out to another while one before it is written to disk is not kept as what it was', async () => {
  const engine = start({ numBlocks: 24 });
  const { storage } = engine;
  const writePart = storage.writePart.bind(storage);
  storage.writePart = async (...part) => {
    storage.writePart = writePart;
    // As slow as to outlast two requests that need all blocks.
    for (const id of ['one', 'two']) await engine.finish(makeRequest(id, 50));
    return writePart(...part);
  };
  await engine.ask(asked);
  await engine.ask(again);
  expect(engine.scheduler.prefixes.hot(MIN_BLOCKS)).toEqual([]); // they have gone
  expect(numKept(engine)).toBe(1);
  await engine.ask({ ...asked, requestId: 'third' });
  await engine.ask({ ...asked, requestId: 'fourth' });
  expect(numKept(engine)).toBe(10);
  const next = start({ storage });
  await next.settle();
  await next.ask(asked);
  expect(next.answer('asked')).toEqual({ outputTokenIds: runAlone(asked, 64).outputTokenIds, cached: 40 });
});

test('restoring that is slower than computing ends after a few blocks, says so, and nothing more is kept', async () => {
  const storage = await keptStorage();
  const next = start({ storage, readMs: 500 });
  await next.settle();
  expect(next.seen.writes).toBe(MEASURED_BLOCKS);
  expect(next.lines).toEqual([
    expect.stringMatching(/restoring is slower than computing and ends; restored 4 blocks, at 8 tokens\/s; computing gives \d\d+ /),
  ]);
  const other = makeRequest('other', 44);
  await next.ask(asked);
  expect(next.answer('asked')).toEqual({ outputTokenIds: runAlone(asked, 64).outputTokenIds, cached: 16 });
  await next.ask(other, { ...other, requestId: 'other 2' });
  expect(next.seen.reads).toBe(0);
});

test('this engine\'s own speed counts as soon as it is known', async () => {
  // Kept by an engine that computed 160 tokens a second; this one computes 16,000, and restores 4000.
  const storage = await keptStorage();
  const next = start({ storage, stepMs: 1 });
  next.hooks.onCopy = () => {
    if (next.seen.writes === 2) next.engine.add(makeRequest('first', 33));
  };
  await next.settle();
  expect(next.lines).toEqual([expect.stringMatching(/slower .* at 4000 tokens\/s; computing gives 1\d{4} tokens/)]);
});

test('a damaged block is absent, and so is what comes after it; the rest is restored', async () => {
  const storage = await keptStorage();
  const fifth = storage.manifests.get('set')?.blocks[4];
  const bytes = storage.parts.get(`set#${fifth?.part}`);
  if (bytes !== undefined) bytes[3] = (bytes[3] ?? 0) ^ 0x40;
  const next = start({ storage });
  await next.settle();
  await next.ask(asked);
  expect(next.answer('asked')).toEqual({ outputTokenIds: runAlone(asked, 64).outputTokenIds, cached: 16 });
  await next.ask(again);
  expect(numKept(next)).toBe(10); // kept again
  const third = start({ storage });
  await third.settle();
  await third.ask(asked);
  expect(third.answer('asked')).toEqual({ outputTokenIds: runAlone(asked, 64).outputTokenIds, cached: 40 });
});

test('blocks of a request whose numbers are wrong are not restored to the next engine', async () => {
  const storage = await keptStorage();
  const next = start({ storage });
  await next.settle();
  next.failing.add('asked');
  await next.ask(asked);
  expect(next.answer('asked').cached).toBe(40);
  expect(numKept(next)).toBe(0);
  expect(storage.parts.size).toBe(0);
  await next.ask(again);
  await next.ask({ ...again, requestId: 'third' });
  expect(numKept(next)).toBe(10); // computed anew
});

test('another set\'s blocks are not seen', async () => {
  const storage = await keptStorage();
  const next = start({ storage, name: 'the same model in int8' });
  await next.settle();
  await next.ask(asked);
  expect(next.answer('asked')).toEqual({ outputTokenIds: runAlone(asked, 64).outputTokenIds, cached: 0 });
});

test('a pool that is too full takes half, and answers all the same', async () => {
  const storage = await keptStorage();
  const next = start({ storage, numBlocks: 17 });
  await next.settle();
  expect([next.seen.writes, storage.partsRead]).toEqual([8, 9]);
  expect(next.lines).toEqual([expect.stringContaining('restored 8 blocks')]);
  await next.ask(asked);
  expect(next.answer('asked')).toEqual({ outputTokenIds: runAlone(asked, 64).outputTokenIds, cached: 32 });
});

test.each(['read', 'write'] as const)('a storage that refuses to %s is told of once, and nothing else happens', async (what) => {
  const storage = await keptStorage();
  storage.refuses = { [what]: true };
  const next = start({ storage });
  const other = makeRequest('other', 44);
  await next.ask(asked, other);
  await next.ask(again, { ...other, requestId: 'other 2' });
  await next.ask({ ...other, requestId: 'other 3' });
  expect(next.lines.filter((line) => line.includes('storage refused'))).toHaveLength(1);
  expect(next.answer('other 3').outputTokenIds).toEqual(runAlone(other, 64).outputTokenIds);
  expect(numKept(next)).toBe(10);
});

test('a GPU that is lost ends it quietly, and stop ends it for good', async () => {
  const engine = start();
  engine.hooks.onCopy = () => {
    throw new Error('lost');
  };
  await engine.ask(asked);
  await engine.ask(again);
  expect(engine.lines).toEqual(['The prefix cache is not kept any more: Error: lost']);
  await engine.ask({ ...again, requestId: 'later' });
  expect(engine.seen.reads).toBe(1);

  const stopped = start();
  await stopped.queue.stop();
  await stopped.ask(asked);
  await stopped.ask(again);
  expect(stopped.seen.reads).toBe(0);
});
