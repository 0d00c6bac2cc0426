import { expect, test } from 'vitest';
import { blobSource } from '../../../src/core/byte-source.ts';
import { identifiedSource } from '../../../src/download/identified-source.ts';
import { seededBytes } from './seeded-bytes.ts';

const content = seededBytes(1000, 1);

/** The identity of a file that is read in pieces of 100 bytes, those in `order` first. */
async function identityOf(bytes: Uint8Array<ArrayBuffer>, order: readonly number[] = [], name = 'a') {
  const source = identifiedSource(blobSource(new Blob([bytes]), name));
  for (const at of order) await source.read(at, 100);
  for (let at = 0; at < 1000; at += 100) expect(await source.read(at, 100)).toEqual(bytes.slice(at, at + 100));
  return source.identity();
}

test('a file is known by what was read of it, in whatever order and under whatever name', async () => {
  const identity = await identityOf(content);
  expect(identity).toMatch(/^[0-9a-f]{64}$/);
  expect(await identityOf(content, [500, 200], 'b')).toBe(identity);
});

test.each([0, 555, 999])('one bit at byte %i makes it another', async (at) => {
  expect(await identityOf(content.map((value, i) => (i === at ? value ^ 1 : value)))).not.toBe(await identityOf(content));
});

test('so does another size', async () => {
  const longer = new Uint8Array(1001);
  longer.set(content);
  expect(await identityOf(longer)).not.toBe(await identityOf(content));
});
