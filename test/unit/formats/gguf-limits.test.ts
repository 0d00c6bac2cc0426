import { expect, test } from 'vitest';
import type { ByteSource } from '../../../src/core/byte-source.ts';
import { getNumbers, SHORT_ARRAY } from '../../../src/formats/gguf-metadata.ts';
import { readModelFile } from '../../../src/formats/gguf.ts';
import { writeGguf } from '../../support/gguf-writer.ts';
import { bytes, header, string, tensor, u32, u64 } from './gguf-bytes.ts';

const MIB = 1024 * 1024;

/** A file that begins with `head` and repeats `fill` up to its end; it knows how much was asked of it. */
function virtualFile(head: Uint8Array, fill: Uint8Array, size: number): ByteSource & { bytesRead: number } {
  const filled = Uint8Array.from({ length: fill.length * 4096 }, (_, i) => fill[i % fill.length] ?? 0);
  return {
    id: 'hostile.gguf',
    size,
    bytesRead: 0,
    read(offset, length) {
      this.bytesRead += length;
      const window = new Uint8Array(length);
      for (let at = offset; at < offset + length;) {
        const isHead = at < head.length;
        const rest = isHead ? head.subarray(at) : filled.subarray((at - head.length) % filled.length);
        window.set(rest.subarray(0, offset + length - at), at - offset);
        at += rest.length;
      }
      return Promise.resolve(window);
    },
  };
}

/** A header whose one value is an array that claims `length` elements. */
const arrayHead = (type: number, length: number): Uint8Array =>
  header({ pairs: [bytes(string('a'), u32(9), u32(type), u64(BigInt(length)))] }).slice(0, 24 + 9 + 4 + 12);

const refused = (words: RegExp): unknown => expect.objectContaining({ code: 'corrupt_model', message: expect.stringMatching(words) });

test('a hundred million numbers are refused before they are read', async () => {
  const file = virtualFile(arrayHead(0, 1e8), Uint8Array.of(7), 200e6);
  await expect(readModelFile(file)).rejects.toEqual(refused(/the header runs to 100000049 bytes; tabserve reads up to 67108864/));
  expect(file.bytesRead).toBeLessThanOrEqual(4 * MIB);
});

test('millions of numbers come as compact as they are in the file', async () => {
  const head = arrayHead(0, 8 * MIB);
  const { metadata } = await readModelFile(virtualFile(head, Uint8Array.of(7), head.length + 8 * MIB));
  const list = metadata['a'];
  expect(list).toBeInstanceOf(Uint8Array);
  expect((list as Uint8Array).every((value) => value === 7)).toBe(true);
  expect(() => getNumbers(metadata, 'a')).toThrow(refused(/'a' is an array of 8388608, not an array of numbers/));
});

test.each([
  ['u16', 2, Uint16Array],
  ['i16', 3, Int16Array],
  ['i32', 5, Int32Array],
  ['f32', 6, Float32Array],
  ['u64', 10, BigUint64Array],
  ['i64', 11, BigInt64Array],
  ['f64', 12, Float64Array],
] as const)('a long array of %s has the same elements as a short one', async (_name, type, Typed) => {
  const values = new Typed(SHORT_ARRAY + 1);
  for (let i = 0; i < values.length; i++) values[i] = typeof values[0] === 'bigint' ? BigInt(i) * 3n : i * 3;
  const pair = (key: string, length: number): Uint8Array =>
    bytes(string(key), u32(9), u32(type), u64(BigInt(length)), new Uint8Array(values.slice(0, length).buffer));
  const data = header({ pairs: [pair('short', 3), pair('long', values.length)] });
  const { metadata } = await readModelFile(virtualFile(data, Uint8Array.of(0), data.length));
  expect(metadata['short']).toEqual([0, 3, 6]);
  expect(metadata['long']).toEqual(values);
});

test.each([
  ['empty strings', 8, u64(0n)],
  ['empty arrays', 9, bytes(u32(0), u64(0n))],
])('%s that would become more than 128 MiB of objects are refused while they are read', async (_name, type, element) => {
  const file = virtualFile(arrayHead(type, Math.floor((60 * MIB) / element.length)), element, 61 * MIB);
  await expect(readModelFile(file)).rejects.toEqual(refused(/more than 134217728 bytes of memory/));
  expect(file.bytesRead).toBeLessThanOrEqual(61 * MIB);
});

test('more tensors or values than any model has are refused at their count', async () => {
  const file = (pieces: Parameters<typeof header>[0]): ByteSource => virtualFile(header(pieces), Uint8Array.of(0), 100 * MIB);
  await expect(readModelFile(file({ tensorCount: 16_385n }))).rejects.toEqual(refused(/tensor count is 16385/));
  await expect(readModelFile(file({ pairCount: 16_385n }))).rejects.toEqual(refused(/metadata count is 16385/));
});

test('a key or a tensor’s name beyond the format’s limits is refused', async () => {
  const file = (pieces: Parameters<typeof header>[0]): ByteSource => virtualFile(header(pieces), Uint8Array.of(0), 100 * MIB);
  const key = bytes(string('k'.repeat(65_536)), u32(7), Uint8Array.of(1));
  await expect(readModelFile(file({ pairs: [key] }))).rejects.toEqual(refused(/metadata key 0 has the length 65536/));
  await expect(readModelFile(file({ tensors: [tensor('t'.repeat(257), [4n], 0, 0n)] }))).rejects.toEqual(refused(/tensor 0 has the length 257/));
});

test('a header is read once, however it lies across the windows, and others get turns meanwhile', async () => {
  const value = Array.from({ length: 400_000 }, (_, i) => `token ${i}`);
  const data = writeGguf({ metadata: { tokens: { type: 'strings', value } }, tensors: [] });
  expect(data.length).toBeGreaterThan(4 * MIB);
  const file = virtualFile(data, Uint8Array.of(0), data.length);
  let turns = 0;
  const other = setInterval(() => turns++, 0);
  const { metadata } = await readModelFile(file);
  clearInterval(other);
  expect((metadata['tokens'] as readonly string[]).at(-1)).toBe('token 399999');
  expect(file.bytesRead).toBe(data.length);
  expect(turns).toBeGreaterThan(0);
});
