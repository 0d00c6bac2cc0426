import { describe, expect, test } from 'vitest';
import { type ExpectedOutput, expectedOutputs } from '../../../src/quant/expected-outputs.ts';
import { repackRows, SUPPORTED_TYPES } from '../../../src/quant/repack.ts';
import { byteLength, dequantise, type GgmlType } from '../../support/ggml-blocks.ts';
import { randomMatrix } from '../../support/kernel-matrix.ts';
import { packedWeight } from '../../support/packed-weights.ts';
import { createRandom } from '../../support/random.ts';

const { fround } = Math;
const ROWS = 192;
const SAMPLED = [0, 1, 5, 10, 15, 62, 63, 64, 65, 84, 106, 126, 127] as const;

/** A row's weights out of the packed layout. */
interface KernelRow {
  readonly q: Float64Array;
  /** Of each group of 32 k. */
  readonly scale: Float64Array;
  readonly min: Float64Array;
}

/** A kernel's arithmetic, every operation rounded to f32. */
interface Kernel {
  /** Groups in a slice. @default all of them */
  readonly sliceGroups?: number;
  /** The place of the i-th k that is added, within its group or within x. @default i */
  readonly order?: (i: number) => number;
  readonly groupOrder?: (i: number, groups: number) => number;
}

function outputOf({ q, scale, min }: KernelRow, x: Float32Array, kernel: Kernel = {}): number {
  const groups = scale.length;
  const { sliceGroups = groups, order = (i) => i, groupOrder = (i) => i } = kernel;
  let total = 0;
  for (let first = 0; first < groups; first += sliceGroups) {
    let slice = 0;
    for (let i = first; i < Math.min(first + sliceGroups, groups); i++) {
      const group = groupOrder(i, groups);
      let part = 0;
      let xSum = 0;
      for (let j = 0; j < 32; j++) {
        const k = 32 * group + order(j);
        part = fround(part + fround(q[k]! * x[k]!));
        xSum = fround(xSum + x[k]!);
      }
      slice = fround(slice + fround(fround(scale[group]! * part) + fround(min[group]! * xSum)));
    }
    total = fround(total + slice);
  }
  return total;
}

function sceneOf(type: GgmlType, columns: number) {
  const random = createRandom(columns);
  const { bytes } = randomMatrix(type, ROWS, columns, random);
  const x = new Float32Array(columns).map(() => random.normal());
  const packed = { type, columns, packing: 'quads', ...repackRows(type, bytes, ROWS, columns) } as const;
  const kernelRow = (row: number): KernelRow => {
    const weights = Array.from({ length: columns }, (_, k) => packedWeight(packed, row, k));
    const ofGroups = (part: 'scale' | 'min') => Float64Array.from({ length: columns / 32 }, (_, group) => weights[32 * group]![part]);
    return { q: Float64Array.from(weights, ({ q }) => q), scale: ofGroups('scale'), min: ofGroups('min') };
  };
  const rowBytes = byteLength(type, columns);
  const bytesOf = (row: number): Uint8Array => bytes.subarray(row * rowBytes, (row + 1) * rowBytes);
  const expected = expectedOutputs(SAMPLED.map((row) => ({ type, bytes: bytesOf(row) })), x);
  return { x, kernelRow, rows: SAMPLED.map(kernelRow), bytesOf, expected };
}

const isInside = ({ value, error }: ExpectedOutput, output: number): boolean => Math.abs(output - value) <= error;

/** Swaps neighbours: what the lanes of a quad multiply when they have each other's x. */
const swapped = (x: Float32Array): Float32Array => x.map((_, k) => x[k ^ 1]!);

/** The fewest groups, SmolLM2's hidden size, and that of models of 8B. */
const SIZES = [64, 576, 4096];
const TYPES = SUPPORTED_TYPES as readonly GgmlType[];

describe.each(TYPES.flatMap((type) => SIZES.map((columns) => [type, columns] as const)))('%s rows of %i', (type, columns) => {
  const { x, kernelRow, rows, bytesOf, expected } = sceneOf(type, columns);
  /** Of each sampled row, whether a kernel's output is inside the bound. */
  const inside = (output: (row: KernelRow, i: number) => number): boolean[] =>
    rows.map((row, i) => isInside(expected[i]!, output(row, i)));
  const all = SAMPLED.map(() => true);
  const none = SAMPLED.map(() => false);

  test('are multiplied as ggml’s numbers are', () => {
    for (const [i, row] of SAMPLED.entries()) {
      const weights = dequantise(type, bytesOf(row), columns);
      const value = weights.reduce((sum, weight, k) => sum + weight * x[k]!, 0);
      expect(expected[i]?.value).toBeCloseTo(value, 9);
    }
  });

  test('a right kernel is inside, whatever its order', () => {
    const kernels: readonly Kernel[] = [
      {}, { sliceGroups: 2 }, { sliceGroups: 5 }, { order: (i) => 31 - i }, { order: (i) => i ^ 3 },
      { groupOrder: (i, groups) => groups - 1 - i },
    ];
    expect(kernels.map((kernel) => inside((row) => outputOf(row, x, kernel)))).toEqual(kernels.map(() => all));
  });

  test('a last group that is left out is outside', () => {
    expect(inside((row) => outputOf({ ...row, scale: row.scale.subarray(0, -1) }, x))).toEqual(none);
  });

  test('x swapped in a quad of lanes is outside, all of x and four elements of it', () => {
    const four = x.map((value, k) => (k >> 2 === 3 ? swapped(x)[k]! : value));
    expect(inside((row) => outputOf(row, swapped(x)))).toEqual(none);
    expect(inside((row) => outputOf(row, four))).toEqual(none);
  });

  test('a row of the next tile is outside', () => {
    const next = SAMPLED.map((row) => kernelRow(row + 64));
    expect(inside((_, i) => outputOf(next[i]!, x))).toEqual(none);
  });

  const last = columns / 32 - 1;
  const others: readonly [string, (min: Float64Array) => number][] = [['left out', () => 0], ['another group’s', (min) => min[0]!]];
  test.each(type === 'Q4_0' || type === 'Q4_1' ? others : [])('the last group’s minimum, %s, is outside', (_, other) => {
    const wrong = (min: Float64Array): Float64Array => min.map((each, group) => (group === last ? other(min) : each));
    expect(inside((row) => outputOf({ ...row, min: wrong(row.min) }, x))).toEqual(none);
  });
});

test('the bound is that of the two parts of a weight: a row of zeros that are 8 * d - 8 * d', () => {
  const bytes = new Uint8Array(18).fill(0x88);
  new DataView(bytes.buffer).setUint16(0, 0x3c00, true); // 1
  const [output] = expectedOutputs([{ type: 'Q4_0', bytes }], new Float32Array(32).fill(0.1));
  expect(output?.value).toBe(0);
  expect(output?.error).toBeCloseTo((40 / 2 ** 24) * 32 * 16 * 0.1, 9);
});

test.each([['a group', 32, 1], ['slices', 4096, 32]])('additions in %s that all lose as much as they can are inside', (_, columns, distance) => {
  // After the first, each term is just under half a unit in the last place of the sum.
  const weights = new Float32Array(columns).map((__, k) => (k === 0 ? 1 : k % distance === 0 ? 0.49 * 2 ** -23 : 0));
  const row = { q: Float64Array.from(weights), scale: new Float64Array(columns / 32).fill(1), min: new Float64Array(columns / 32) };
  const x = new Float32Array(columns).fill(1);
  const [expected] = expectedOutputs([{ type: 'F32', bytes: new Uint8Array(weights.buffer) }], x);
  expect(outputOf(row, x)).toBe(1);
  expect(isInside(expected!, 1)).toBe(true);
  expect(expected!.error).toBeLessThan(2 ** -16);
});
