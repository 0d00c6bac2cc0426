import { expect, test } from 'vitest';
import { maxPartials, partialsBytes } from '../../../src/kernels/attention.ts';

const MIB = 2 ** 20;
const shapeOf = (numHeads: number, headSize: number, tokens: number) => ({ numHeads, numKvHeads: numHeads, headSize, blockSize: 16, maxBlocks: tokens / 16 });

test.each([
  ['SmolLM2-135M', 9, 64],
  ['Qwen3-0.6B', 16, 128],
  ['Llama-3.2-1B', 32, 64],
  ['Llama-3.1-8B', 32, 128],
])('%s: at 4k, 8k and 32k the partial results of 256 rows take less than 64 MiB, and a decode batch has room', (_, numHeads, headSize) => {
  for (const tokens of [4096, 8192, 32_768]) {
    const shape = shapeOf(numHeads, headSize, tokens);
    const numPartials = maxPartials(shape, 256);
    expect(partialsBytes(shape, numPartials)).toBeLessThan(64 * MIB);
    // A chunk at the end of the context has at least 14 rows: 16 rows decode there, but of the 8B one at 32k.
    expect(numPartials / (tokens / 128)).toBeGreaterThan(14);
  }
});

test('one row fits however large a model and long a sequence, and no more is taken than rows can have', () => {
  const huge = shapeOf(128, 256, 2 ** 20);
  expect(maxPartials(huge, 256)).toBe(2 ** 20 / 128);
  expect(maxPartials(shapeOf(9, 64, 1024), 32)).toBe(32 * 8);
});
