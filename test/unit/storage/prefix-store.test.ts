import { describe, expect, test } from 'vitest';
import { prefixKey, type PrefixManifest, removeKeptPrefixes } from '../../../src/storage/prefix-manifest.ts';
import { PrefixStore } from '../../../src/storage/prefix-store.ts';
import { memoryStorage } from './memory-storage.ts';
import { seededBytes } from '../download/seeded-bytes.ts';

const BLOCK_SIZE = 4;
const BLOCK_BYTES = 100;

function setUp(maxBlocks = 10) {
  const storage = memoryStorage<PrefixManifest>();
  const lines: string[] = [];
  const open = (more: { name?: string; maxBlocks?: number; blockBytes?: number } = {}) => {
    const { name = 'set', blockBytes = BLOCK_BYTES } = more;
    const maxBytes = (more.maxBlocks ?? maxBlocks) * BLOCK_BYTES;
    const log = (line: string): void => void lines.push(line);
    return PrefixStore.open({ storage, name, blockSize: BLOCK_SIZE, blockBytes, maxBytes, log });
  };
  return { storage, lines, open };
}

const contentOf = (seed: number) => seededBytes(BLOCK_BYTES, seed);

/** Puts a sequence of blocks whose tokens, and bytes, are made of the seeds; their keys. */
async function putChain(store: PrefixStore, seeds: readonly number[], lastUsed: number, parent = ''): Promise<string[]> {
  const keys: string[] = [];
  for (const seed of seeds) {
    const tokenIds = Array.from({ length: BLOCK_SIZE }, (_, i) => seed * 10 + i);
    const key = await prefixKey(keys.at(-1) ?? parent, tokenIds);
    const block = { key, parent: keys.at(-1) ?? parent, tokenIds, lastUsed, prefillTokensPerSecond: 50 };
    if (!(await store.put(block, contentOf(seed)))) break;
    keys.push(key);
  }
  return keys;
}

const seedsOf = (store: PrefixStore): number[] => store.inOrder().map(({ tokenIds }) => (tokenIds[0] ?? 0) / 10);

async function bytesOf(store: PrefixStore, key: string | undefined) {
  const block = store.get(key ?? '');
  return block && store.read(block);
}

describe('kept blocks', () => {
  test('come back in another visit, with their bytes and the tokens from the start', async () => {
    const { open } = setUp();
    const [first, second] = await putChain(await open(), [1, 2], 5);
    const store = await open();
    expect(seedsOf(store)).toEqual([1, 2]);
    expect(await bytesOf(store, first)).toEqual(contentOf(1));
    expect(await bytesOf(store, second)).toEqual(contentOf(2));
    const block = store.get(second ?? '');
    expect(block && store.tokensThrough(block)).toEqual([10, 11, 12, 13, 20, 21, 22, 23]);
    expect(block).toMatchObject({ lastUsed: 5, prefillTokensPerSecond: 50 });
  });

  test('have a name of their tokens and of all before them', async () => {
    const first = await prefixKey('', [1, 2]);
    const keys = [first, await prefixKey(first, [1, 2]), await prefixKey('', [12]), await prefixKey('', [1, 3])];
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('of another set, or another size of block, are not there', async () => {
    const { open } = setUp();
    await putChain(await open(), [1, 2], 5);
    expect(seedsOf(await open({ name: 'other model' }))).toEqual([]);
    expect(seedsOf(await open({ blockBytes: 50 }))).toEqual([]);
  });

  test('are taken once, and only after the block before them', async () => {
    const { open, storage } = setUp();
    const store = await open();
    const [key = ''] = await putChain(store, [1], 5);
    expect(await putChain(store, [1], 9)).toEqual([]);
    expect(storage.parts.size).toBe(1);
    expect(await putChain(store, [2], 9, 'no such block')).toEqual([]);
    expect(await putChain(store, [2], 9, key)).toHaveLength(1);
  });

  test('are given used last first, but none before what comes before it', async () => {
    const { open } = setUp();
    const store = await open();
    const [root] = await putChain(store, [1, 2, 3], 5);
    await putChain(store, [4, 5], 9, root);
    await putChain(store, [6], 7);
    expect(seedsOf(store)).toEqual([1, 4, 5, 6, 2, 3]);
    await store.touch(new Map([[(await putChain(store, [7], 6))[0] ?? '', 10]]));
    expect(seedsOf(await open())).toEqual([7, 1, 4, 5, 6, 2, 3]);
  });
});

describe('what is damaged counts as absent', () => {
  test.each<[string, (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>]>([
    ['a bit', (bytes) => bytes.map((value, i) => (i === 50 ? value ^ 1 : value))],
    ['cut short', (bytes) => bytes.slice(0, 50)],
    ['empty', () => new Uint8Array()],
  ])('%s, and what comes after it cannot be reached', async (_name, spoil) => {
    const { open, storage, lines } = setUp();
    const [first, second = ''] = await putChain(await open(), [1, 2], 5);
    storage.parts.set('set#0', spoil(contentOf(1)));
    const store = await open();
    expect(await bytesOf(store, first)).toBeUndefined();
    expect(store.get(first ?? '')).toBeUndefined();
    const after = store.get(second);
    expect(after && store.tokensThrough(after)).toBeUndefined();
    expect(seedsOf(store)).toEqual([]);
    // It may come again, in its place; storage itself has not refused anything.
    expect(await putChain(store, [1], 6)).toEqual([first]);
    expect(seedsOf(await open())).toEqual([1, 2]);
    expect(lines).toEqual([]);
  });

  test('a missing file', async () => {
    const { open, storage } = setUp();
    const [first] = await putChain(await open(), [1], 5);
    storage.parts.clear();
    expect(await bytesOf(await open(), first)).toBeUndefined();
  });

  test('tokens that are not those that the block was named after', async () => {
    const { open, storage } = setUp();
    const [first] = await putChain(await open(), [1], 5);
    const manifest = storage.manifests.get('set');
    const blocks = (manifest?.blocks ?? []).map((block) => ({ ...block, tokenIds: block.tokenIds.with(2, 99) }));
    storage.manifests.set('set', { url: 'set', blockBytes: BLOCK_BYTES, blocks });
    expect(await bytesOf(await open(), first)).toBeUndefined();
  });

  test('a chain that runs in a circle', async () => {
    const { open, storage } = setUp();
    const [first = '', second = ''] = await putChain(await open(), [1, 2], 5);
    const manifest = storage.manifests.get('set');
    const blocks = (manifest?.blocks ?? []).map((block) => (block.key === first ? { ...block, parent: second } : block));
    storage.manifests.set('set', { url: 'set', blockBytes: BLOCK_BYTES, blocks });
    expect(seedsOf(await open())).toEqual([]);
    expect([storage.parts.size, storage.manifests.get('set')?.blocks]).toEqual([0, []]); // it takes no room either
  });
});

describe('the limit', () => {
  test('the least recently used go first, from the end of their sequences; parts are used again', async () => {
    const { open, storage } = setUp(4);
    const store = await open();
    await putChain(store, [1, 2, 3], 5);
    await putChain(store, [4], 6);
    await putChain(store, [5, 6], 7);
    expect(seedsOf(store).toSorted()).toEqual([1, 4, 5, 6]);
    expect(storage.parts.size).toBe(4);
    expect(seedsOf(await open()).toSorted()).toEqual([1, 4, 5, 6]);
    for (const { key } of store.inOrder()) expect(await bytesOf(store, key)).toBeDefined();
  });

  test('nothing goes for what is not more recently used, nor for what comes after it', async () => {
    const { open } = setUp(3);
    const store = await open();
    await putChain(store, [1, 2, 3], 5);
    expect(await putChain(store, [4], 5)).toEqual([]);
    const [long] = await putChain(store, [5, 6, 7, 8], 6);
    expect(seedsOf(store)).toEqual([5, 6, 7]);
    expect(long).toBeDefined();
  });

  test('a block does not go for the one after it, however old', async () => {
    const { open } = setUp(2);
    const store = await open();
    const [first, second] = await putChain(store, [1, 2], 5);
    expect(await putChain(store, [3], 9, second)).toEqual([]);
    expect(await putChain(store, [4], 9, first)).toHaveLength(1);
    expect(seedsOf(store)).toEqual([1, 4]);
  });

  test('other sets go first, whole, the oldest before the rest', async () => {
    const { open, storage } = setUp(5);
    await putChain(await open({ name: 'old' }), [1, 2], 1);
    await putChain(await open({ name: 'newer' }), [3, 4], 2);
    const store = await open();
    await putChain(store, [5, 6], 3);
    expect([...storage.manifests.keys()].toSorted()).toEqual(['newer', 'set']);
    await putChain(store, [7, 8, 9], 4);
    expect([...storage.manifests.keys()]).toEqual(['set']);
    expect(storage.parts.size).toBe(5);
  });

  test('a lower one is kept from the start', async () => {
    const { open, storage } = setUp(6);
    await putChain(await open({ name: 'other' }), [9], 9);
    const store = await open();
    await putChain(store, [1, 2, 3], 5);
    await putChain(store, [4], 6);
    expect(seedsOf(await open({ maxBlocks: 2 }))).toEqual([4, 1]);
    expect(storage.parts.size).toBe(2);
    expect(await putChain(await open({ maxBlocks: 0.5 }), [1], 7)).toEqual([]);
    expect(storage.parts.size).toBe(0);
  });
});

describe('a storage that refuses', () => {
  test('is told of once and left alone; nothing throws', async () => {
    const { open, storage, lines } = setUp();
    const store = await open();
    const [key] = await putChain(store, [1], 5);
    storage.refuses.write = true;
    expect(await putChain(store, [2], 5)).toEqual([]);
    storage.refuses.write = false;
    expect(await putChain(store, [3], 5)).toEqual([]);
    await store.touch(new Map([[key ?? '', 9]]));
    expect(store.isUsable).toBe(false);
    expect(lines).toEqual([expect.stringContaining('QuotaExceededError')]);
    expect(seedsOf(await open())).toEqual([1]); // what was kept is there the next time
  });

  test('to be read, from the start or later', async () => {
    const { open, storage, lines } = setUp();
    const kept = await open();
    const [key] = await putChain(kept, [1], 5);
    storage.refuses.read = true;
    expect(await bytesOf(kept, key)).toBeUndefined();
    expect(seedsOf(await open())).toEqual([]);
    expect(lines).toHaveLength(2);
  });
});

test('a block that is wrong goes with all that come after it', async () => {
  const { open, storage } = setUp();
  const store = await open();
  const [root, second = ''] = await putChain(store, [1, 2, 3], 5);
  await putChain(store, [4], 5, root);
  await store.drop(second);
  expect(seedsOf(store)).toEqual([1, 4]);
  expect(seedsOf(await open())).toEqual([1, 4]);
  expect(storage.parts.size).toBe(2);
  await store.drop('no such block');
  expect(seedsOf(store)).toEqual([1, 4]);
});

test('all sets can be deleted', async () => {
  const { open, storage } = setUp();
  await putChain(await open(), [1, 2], 5);
  await putChain(await open({ name: 'other' }), [3], 5);
  await removeKeptPrefixes(storage);
  expect([storage.manifests.size, storage.parts.size]).toEqual([0, 0]);
});
