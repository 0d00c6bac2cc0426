import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { FileHasher } from '../../../src/storage/file-hasher.ts';
import { seededBytes } from '../download/seeded-bytes.ts';

const PART = 300_000; // no multiple of what is hashed in one go
const content = seededBytes(7 * PART + 11);
const digest = createHash('sha256').update(content).digest('hex');
const part = (index: number): Uint8Array => content.subarray(index * PART, (index + 1) * PART);

test.each([
  ['in order', [0, 1, 2, 3, 4, 5, 6, 7]],
  ['some twice', [0, 0, 1, 2, 1, 3, 4, 5, 0, 6, 7]],
  ['some early', [1, 0, 2, 4, 3, 5, 7, 6]],
])('parts that come %s', async (_name, order) => {
  const hasher = new FileHasher(8);
  let before = Promise.resolve();
  for (const index of order) {
    const added = hasher.add(index, part(index));
    await before; // a reader has one part on its way ahead of the one it waits for
    before = added;
  }
  await before;
  expect(hasher.digest).toBe(digest);
});

test('what came too early to be kept is read again in the end', async () => {
  const hasher = new FileHasher(8);
  for (const index of [7, 6, 5, 4, 3, 2, 1, 0]) await hasher.add(index, part(index));
  expect(hasher.digest).toBeUndefined();
  const read: number[] = [];
  await hasher.finish(async (index) => (read.push(index), part(index)));
  expect(hasher.digest).toBe(digest);
  expect(read).toEqual([1, 2, 3, 4, 5]);
});

test('a part that cannot be read leaves it open', async () => {
  const hasher = new FileHasher(8);
  await hasher.finish(async (index) => (index < 3 ? part(index) : undefined));
  expect(hasher.digest).toBeUndefined();
  for (const index of [3, 4, 5, 6, 7]) await hasher.add(index, part(index));
  expect(hasher.digest).toBe(digest);
});

test('other work gets its turn between slices', async () => {
  const hasher = new FileHasher(1);
  let turns = 0;
  let isDone = false;
  const beat = (): void => {
    turns++;
    if (!isDone) setImmediate(beat);
  };
  setImmediate(beat);
  await hasher.add(0, content);
  isDone = true;
  expect(turns).toBeGreaterThan(4);
});
