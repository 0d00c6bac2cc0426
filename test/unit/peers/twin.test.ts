import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readGgufHeader } from '../../oracle/gguf-file.mjs';
import { makeQ8Twin } from '../../peers/twin.mjs';
import { byteLength, dequantise, quantise } from '../../support/ggml-blocks.ts';
import { writeGguf } from '../../support/gguf-writer.ts';
import { createRandom } from '../../support/random.ts';

const random = createRandom(7);
const values = (length: number): Float32Array => Float32Array.from({ length }, () => random.uniform() * 4 - 2);

// The second matrix is longer than what is read at a time, and no multiple of it.
const TENSORS = [
  { name: 'norm', shape: [64], type: 'F32' as const, data: quantise('F32', values(64)) },
  { name: 'long', shape: [1056, 1024], type: 'Q4_1' as const, data: quantise('Q4_1', values(1056 * 1024)) },
  { name: 'kept', shape: [64, 3], type: 'Q8_0' as const, data: quantise('Q8_0', values(192)) },
  { name: 'short', shape: [64, 2], type: 'Q4_0' as const, data: quantise('Q4_0', values(128)) },
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tabserve-twin-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the twin holds what dequantising and quantising to Q8_0 gives, and all else as it was', async () => {
  const source = join(folder, 'tiny.Q4_1.gguf');
  const metadata = {
    'general.name': { type: 'string', value: 'Tiny' },
    'general.file_type': { type: 'u32', value: 3 },
  } as const;
  writeFileSync(source, writeGguf({ metadata, tensors: TENSORS }));

  const path = await makeQ8Twin(source, folder);

  expect(path).toBe(join(folder, 'tiny.twin-Q8_0.gguf'));
  const twin = await readGgufHeader(path);
  expect(twin.metadata).toEqual({ ...metadata, 'general.file_type': { type: 'u32', value: 7 } });
  expect(twin.tensors.map(({ name, shape, type }) => [name, shape, type])).toEqual([
    ['norm', [64], 'F32'], ['long', [1056, 1024], 'Q8_0'], ['kept', [64, 3], 'Q8_0'], ['short', [64, 2], 'Q8_0'],
  ]);
  const file = readFileSync(path);
  for (const [i, { type, shape, data }] of TENSORS.entries()) {
    const { start = 0 } = twin.tensors[i] ?? {};
    const length = shape.reduce((a, b) => a * b, 1);
    const expected = type.startsWith('Q4') ? quantise('Q8_0', dequantise(type, data, length)) : data;
    const written = file.subarray(start, start + byteLength(type === 'F32' ? 'F32' : 'Q8_0', length));
    expect(written.equals(expected)).toBe(true);
  }
});
