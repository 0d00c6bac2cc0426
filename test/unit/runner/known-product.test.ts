import { expect, test } from 'vitest';
import type { Numerics } from '../../../src/core/numerics.ts';
import type { PackedMatrix } from '../../../src/kernels/matmul.ts';
import { KnownProduct } from '../../../src/runner/known-answers/known-product.ts';
import { dequantise } from '../../../src/quant/dequantise.ts';
import { quantise } from '../../support/ggml-blocks.ts';
import { createRandom } from '../../support/random.ts';

const COLUMNS = 96;
const random = createRandom(2);
const VALUES = Float32Array.from({ length: COLUMNS }, () => 0.05 * random.normal());

function product(numerics: Numerics, values = VALUES, norm?: { size: number; epsilon: number }) {
  const matrix = { format: 'int8', numerics, rows: 64, columns: COLUMNS } as unknown as PackedMatrix;
  const bytes = quantise(values === VALUES ? 'Q8_0' : 'F32', values);
  const row = { tensor: 'w', type: values === VALUES ? 'Q8_0' : 'F32', row: 5, bytes };
  return { known: new KnownProduct({ matrix, rows: [row] }, norm), weights: dequantise(row.type, bytes).values };
}

const rowOf = ({ x }: KnownProduct, row: number): Float32Array => x.subarray(row * COLUMNS, (row + 1) * COLUMNS);
const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, each, k) => sum + each * (b[k] ?? NaN), 0);

test('an output is the product of its row of x, divided by the norm of that row', () => {
  const { known, weights } = product('f32', VALUES, { size: COLUMNS, epsilon: 0 });
  const divisors = Array.from({ length: 8 }, (_, row) => dot(weights, rowOf(known, row)) / (known.output(5, row)?.value ?? NaN));
  const means = divisors.map((_, row) => known.squares.subarray(4 * row, 4 * row + 4).reduce((a, b) => a + b, 0) / COLUMNS);
  expect(divisors).toEqual(means.map((mean) => expect.closeTo(Math.sqrt(mean), 10)));
  expect(new Set(divisors.map((each) => each.toFixed(3))).size).toBe(8);
  expect(known.output(4, 0)).toBeUndefined();
});

test('in f16, fractions are -1, 0 and 1; in dp4a, steps of a power of two; the first of each 32 is the largest', () => {
  expect(new Set(product('f16').known.x.map(Math.abs))).toEqual(new Set([0, 1]));
  const { x } = product('dp4a').known;
  for (let group = 0; group < x.length; group += 32) {
    const steps = x.subarray(group, group + 32).map((each) => 64 * each);
    expect(Math.abs(steps[0] ?? NaN)).toBe(127);
    expect(steps.every((step) => Number.isInteger(step) && Math.abs(step) <= 127)).toBe(true);
  }
});

test('weights that are no numbers in the file are no fault of the GPU', () => {
  const { known } = product('f32', VALUES.with(3, NaN));
  expect(known.output(5, 0)).toBeUndefined();
});
