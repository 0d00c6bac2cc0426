import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { matmul } from '../../../src/kernels/matmul-store.ts';
import { isSliced } from '../../../src/kernels/matmul.ts';
import { quantise, quantisedBytes, type QuantisedNumerics } from '../../../src/kernels/quantise.ts';
import { fromHalf } from '../../support/ggml-blocks.ts';
import { firstDifference, firstWritten, firstWrong, KernelLab, type Result } from '../../support/kernel-lab.ts';
import { type BlockMatrix, type MatrixType, packMatrix, randomMatrix, weightsOfRow } from '../../support/kernel-matrix.ts';
import { quantisedProductReference } from '../../support/kernel-references.ts';
import { oneTiling as one } from '../../support/matmul-lab.ts';
import { createRandom, type Random } from '../../support/random.ts';

/** Token counts up to this, and the rows that a lane of 8 tokens reads beyond them. */
const MAX_TOKENS = 32;
const U = 2 ** -24;

/**
 * x of MAX_TOKENS rows, about a third of it a hundred times larger than the rest; a group of zeros and one of next to nothing,
 * but no row of them: whether a product is 0 or -0, compilers decide.
 */
function activations(columns: number, random: Random): Float32Array<ArrayBuffer> {
  const x = new Float32Array(MAX_TOKENS * columns).map(() => random.normal() * (random.below(3) === 0 ? 10 : 0.1));
  if (columns === 32) return x;
  x.fill(0, columns, columns + 32);
  x.fill(2 ** -125, 2 * columns, 2 * columns + 32);
  return x;
}

/** What quantise made of rows of x, as numbers, by its description in shaders/quantise.wgsl. */
interface Quantised {
  /** `[row][columns]`: steps (dp4a) or parts of the largest magnitude (f16). */
  readonly values: Float64Array;
  /** `[row][columns / 32]` */
  readonly scales: Float64Array;
  readonly sums: Float64Array;
}

function read(numerics: QuantisedNumerics, { bits, floats }: Result, groups: number): Quantised {
  const words = quantisedBytes(numerics, 32, 1) / 4;
  const values = new Float64Array(groups * 32);
  const at = (group: number, i: number): number => {
    if (numerics === 'dp4a') return ((bits[group * words + (i >> 2)] ?? NaN) << (24 - 8 * (i & 3))) >> 24;
    const [word, half] = [2 * (i >> 2) + (i & 1), (i >> 1) & 1];
    return fromHalf(((bits[group * words + word] ?? NaN) >>> (16 * half)) & 0xffff);
  };
  for (let i = 0; i < values.length; i++) values[i] = at(Math.floor(i / 32), i % 32);
  const place = (i: number) => (_: number, group: number): number => floats[group * words + words - 4 + i] ?? NaN;
  return { values, scales: new Float64Array(groups).map(place(0)), sums: new Float64Array(groups).map(place(1)) };
}

/** The first group that is not what x rounds to. */
function wrongGroup(numerics: QuantisedNumerics, x: Float32Array, { values, scales, sums }: Quantised): string | undefined {
  const steps = numerics === 'dp4a' ? 127 : 1;
  for (const [group, scale] of scales.entries()) {
    const first = x.subarray(32 * group, 32 * group + 32);
    const to = values.subarray(32 * group, 32 * group + 32);
    const highest = Math.max(...first.map(Math.abs));
    const expected = highest < 2 ** -119 ? 0 : highest / steps;
    if (!(Math.abs(scale - expected) <= 3 * 2 ** -23 * expected)) return `group ${group}: scale ${scale}, not ${expected}`;
    // Of dp4a it is exact; of f16, of what is not rounded yet.
    const summed = numerics === 'dp4a' || scale === 0 ? [...to] : [...first].map((value) => value / scale);
    const sum = summed.reduce((a, b) => a + b, 0);
    const rounding = numerics === 'dp4a' ? 0 : 36 * U * summed.reduce((a, b) => a + Math.abs(b), 0);
    if (!(Math.abs((sums[group] ?? NaN) - sum) <= rounding)) return `group ${group}: sum ${sums[group]}, not ${sum}`;
    for (const [i, value] of to.entries()) {
      const exact = scale === 0 ? 0 : (first[i] ?? NaN) / scale;
      const error = numerics === 'dp4a' ? 0.5 + 1e-4 : 2 ** -11 * Math.abs(exact) * 1.001 + 2 ** -25;
      if (!(Math.abs(value - exact) <= error)) return `group ${group}, element ${i}: ${value}, not ${exact}`;
    }
  }
  return undefined;
}

/** The first output that is wrong: of every token, and of every `stride`-th row and the last. */
function wrongOutput(numerics: QuantisedNumerics, matrix: BlockMatrix, x: Quantised, y: Result, tokens: number, stride: number) {
  const { rows, columns } = matrix;
  for (let row = 0; row < rows; row = row < rows - 1 ? Math.min(row + stride, rows - 1) : rows) {
    const weights = weightsOfRow(matrix, row);
    for (let token = 0; token < tokens; token++) {
      const values = x.values.subarray(token * columns, (token + 1) * columns);
      const scales = x.scales.subarray((token * columns) / 32, ((token + 1) * columns) / 32);
      const expected = quantisedProductReference(numerics, weights, values, scales);
      const wrong = firstWrong(y.floats, [expected], token * rows + row);
      if (wrong !== undefined) return `token ${token}, row ${row}: ${wrong}`;
    }
  }
  return undefined;
}

/** As many tilings as show that they are no part of the numerics; where k is in slices, sets of lanes that share it out too. */
const ALONE = [one(1, 1, 8), one(2, 2), one(8, 1, 16, 1, 2)];
const SHARED = [one(1, 1, 16, 16), one(4, 1, 32, 3)];

/** Rows, columns, slices of k, and which rows are checked; the last are SmolLM2-135M's, of which matmul.test.ts has all. */
const SHAPES: readonly (readonly [MatrixType, number, number, number, number])[] = [
  ['Q4_0', 4, 32, 1, 1],
  ['Q4_1', 68, 7 * 32, 1, 1],
  ['Q8_0', 60, 9 * 32, 16, 1],
  ['Q4_0', 148, 17 * 32, 16, 1],
  ['Q4_1', 576, 1536, 1, 7],
  ['Q4_1', 3072, 576, 16, 37],
  ['Q8_0', 49152, 576, 1, 3001],
];

describe.each(['dp4a', 'f16'] as const)('%s', (numerics) => {
  let lab: KernelLab;
  beforeAll(async () => void (lab = await KernelLab.open(numerics)));
  afterEach(() => lab.clear());
  afterAll(() => lab.close());

  /** x, what quantise makes of it, and the product in every tiling, of one matrix. */
  function setUp([type, rows, columns, maxSlices]: (typeof SHAPES)[number], tokens: number) {
    const random = createRandom(rows * columns);
    const matrix = randomMatrix(type, rows, columns, random);
    const x = activations(columns, random);
    const xs = lab.input(x);
    const quantised = lab.output(quantisedBytes(numerics, columns, MAX_TOKENS) / 4);
    const counts = lab.rowCount;
    const first = quantise(lab.builder, { numerics, columns, x: xs, y: quantised.buffer, counts });
    const packed = packMatrix(lab, matrix, { numerics, wideScales: type === 'Q4_1', maxSlices });
    const all = [...ALONE, ...(isSliced(packed) ? SHARED : [])].map((tilings) => {
      const name = JSON.stringify(tilings);
      const output = lab.output(tokens * rows);
      const args = { matrix: packed, x: quantised.buffer, y: output.buffer, counts, subgroups: lab.gpu.hasSubgroups };
      const op = matmul(lab.builder, { ...args, tokens: (step) => step.tokens, tilings });
      return { name, op, output };
    });
    const run = async (count: number) => {
      const outputs = [quantised, ...all.map(({ output }) => output)];
      const [prepared, ...products] = await lab.run([first, ...all.map(({ op }) => op)], { tokens: count }, outputs);
      return { prepared: prepared as Result, products };
    };
    return { matrix, x, xs, all, run };
  }

  test.for(SHAPES)('%s %i x %i in %i slices: right, and the same bits for every tiling and batch', async (shape, { skip }) => {
    if (!lab.gpu.supportedNumerics.includes(numerics)) skip(`this adapter has no ${numerics}`);
    const [, rows, columns, , stride] = shape;
    const most = rows > 1000 ? 8 : MAX_TOKENS;
    const { matrix, x, xs, all, run } = setUp(shape, most);
    const { prepared, products } = await run(most);
    const alone = products[0] as Result;
    const parts = read(numerics, prepared, (most * columns) / 32);
    expect(wrongGroup(numerics, x.subarray(0, most * columns), parts)).toBeUndefined();
    expect(firstWritten(prepared, (quantisedBytes(numerics, columns, 1) / 4) * most)).toBeUndefined();
    expect(wrongOutput(numerics, matrix, parts, alone, most, stride)).toBeUndefined();
    for (const [i, product] of products.entries()) expect(firstDifference(product, alone), all[i]?.name).toBeUndefined();
    for (const tokens of [1, 2, 3, 5, 8, 17].filter((count) => count < most)) {
      // What lies behind the step's rows is left over from other steps, and must not matter.
      lab.write(xs, x.map((value, i) => (i < tokens * columns ? value : NaN)));
      for (const [i, product] of (await run(tokens)).products.entries()) {
        const fault = firstDifference(product, alone, tokens * rows) ?? firstWritten(product, tokens * rows);
        expect(fault, `${tokens} tokens: ${all[i]?.name}`).toBeUndefined();
      }
    }
  });

  test('what is not a number stays none', async ({ skip }) => {
    if (!lab.gpu.supportedNumerics.includes(numerics)) skip(`this adapter has no ${numerics}`);
    const { xs, x, run } = setUp(['Q4_1', 68, 96, 1, 1], 2);
    lab.write(xs, x.map((value, i) => (i === 40 ? NaN : value)));
    const { products } = await run(2);
    for (const { floats } of products) {
      expect(floats.subarray(0, 68).every(Number.isNaN)).toBe(true);
      expect(floats.subarray(68).some(Number.isNaN)).toBe(false);
    }
  });
});
