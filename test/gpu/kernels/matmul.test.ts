import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { matmul, type StoreArgs } from '../../../src/kernels/matmul-store.ts';
import { isSliced, type PackedMatrix } from '../../../src/kernels/matmul.ts';
import { defaultTilings, type Tilings } from '../../../src/kernels/tiling.ts';
import { firstWrong, KernelLab, type Output, type Result } from '../../support/kernel-lab.ts';
import { type BlockMatrix, type MatrixType, packMatrix, randomMatrix, weightsOfRow } from '../../support/kernel-matrix.ts';
import { matmulReference } from '../../support/kernel-references.ts';
import { activations, firstDeviant, firstUnlike, MAX_ROWS, oneTiling as one, onlyRows, runVariants, TOKEN_COUNTS, configsOf, type LabVariant } from '../../support/matmul-lab.ts';
import { createRandom } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

/** The first output that is wrong: of every token, and of every `stride`-th row and the last. */
function wrongOutput(matrix: BlockMatrix, x: Float32Array, y: Result, tokens: number, stride = 1): string | undefined {
  const { rows, columns } = matrix;
  for (let row = 0; row < rows; row = row < rows - 1 ? Math.min(row + stride, rows - 1) : rows) {
    const weights = weightsOfRow(matrix, row);
    for (let token = 0; token < tokens; token++) {
      const expected = matmulReference(weights, x.subarray(token * columns, (token + 1) * columns));
      const wrong = firstWrong(y.floats, [expected], token * rows + row);
      if (wrong !== undefined) return `token ${token}, row ${row}: ${wrong}`;
    }
  }
  return undefined;
}

/**
 * Every part of a tiling at some values; where k is in slices, sets of lanes that share it out too. SwiftShader takes a second
 * to compile some of the latter, so a GPU's defaults are left to few shapes.
 */
const ALONE = [one(1, 1, 8), one(1, 1, 64), one(1, 1, 16, 1, 2), one(2, 2), one(4, 1), one(4, 2), one(8, 1), one(8, 3), one(3, 2, 8, 1, 2)];
const SHARED = [one(1, 2, 16, 4), one(2, 1, 8, 16), one(1, 1, 32, 3)];

function everyTiling(matrix: PackedMatrix): readonly Tilings[] {
  return [...ALONE, ...(isSliced(matrix) ? SHARED : []), defaultsFor(matrix, true)];
}

function defaultsFor({ rows }: PackedMatrix, isSoftware: boolean): Tilings {
  return defaultTilings({ isSoftware, unrolled: isSoftware, matrixTiles: Math.ceil(rows / 64), paired: false });
}

type Product = Pick<StoreArgs, 'x' | 'outputOffset' | 'outputStride'>;

/**
 * A product by each tiling, on the matrices (the same, packed in several ways) and with x by subgroups and without, in turn;
 * `turn` says which come first.
 */
function variantsOf(
  matrices: readonly [PackedMatrix, ...PackedMatrix[]],
  tilings: readonly Tilings[],
  product: Product,
  y: () => Output,
  turn = 0,
): LabVariant[] {
  const [first] = matrices;
  return configsOf(lab, tilings, turn).map(({ name, ...config }, i) => {
    const matrix = matrices[Math.floor((i + turn) / 2) % matrices.length] ?? first;
    const output = y();
    const op = matmul(lab.builder, {
      ...product,
      ...config,
      matrix,
      y: output.buffer,
      counts: lab.rowCount,
      tokens: ({ tokens }) => tokens,
    });
    return { name: `${name}${matrix.wideScales ? ', wide scales' : ''}`, ops: [op], outputs: [output] };
  });
}

/** Rows a multiple of 4 and columns of 32, below, at and above tiles of 64 rows; k in so many slices, even and not. */
const SHAPES: readonly (readonly [MatrixType, number, number, number])[] = [
  ['Q4_0', 4, 32, 1],
  ['Q8_0', 4, 32, 16],
  ['Q4_1', 68, 7 * 32, 1],
  ['Q8_0', 60, 9 * 32, 16],
  ['Q4_0', 148, 17 * 32, 16],
  ['Q4_1', 72, 35 * 32, 16],
  ['Q8_0', 132, 8 * 32, 3],
  ['F16', 68, 9 * 32, 16],
  ['BF16', 148, 7 * 32, 3],
  ['F32', 60, 5 * 32, 16],
];

async function sameForAll([type, rows, columns, maxSlices]: (typeof SHAPES)[number], chosen?: readonly Tilings[]): Promise<void> {
  const random = createRandom(rows * columns);
  const block = randomMatrix(type, rows, columns, random);
  const x = activations(columns, random);
  const xs = lab.input(x);
  const packed = (wideScales: boolean) => packMatrix(lab, block, { wideScales, maxSlices });
  const matrix = packed(false);
  const matrices = [matrix, ...(type.startsWith('Q4') ? [packed(true)] : [])] as const;
  const tilings = chosen ?? [...everyTiling(matrix), ...(maxSlices === 3 ? [defaultsFor(matrix, false)] : [])];
  const all = variantsOf(matrices, tilings, { x: xs }, () => lab.output(MAX_ROWS * rows), rows / 4);
  const most = await runVariants(lab, all, { tokens: MAX_ROWS });
  expect(wrongOutput(block, x, most[0]![0]!, MAX_ROWS)).toBeUndefined();
  expect(firstDeviant(all, most)).toBeUndefined();
  for (const tokens of TOKEN_COUNTS) {
    lab.write(xs, onlyRows(x, tokens * columns));
    const results = await runVariants(lab, all, { tokens });
    expect(firstUnlike(results[0]![0]!, most[0]![0]!, all[0]!.outputs[0]!, tokens * rows), `${tokens} tokens`).toBeUndefined();
    expect(firstDeviant(all, results), `${tokens} tokens`).toBeUndefined();
  }
}

test.each(SHAPES)('%s %i x %i in %i slices: the same bits for every variant and batch', (...shape) => sameForAll(shape));

/** A slice whole, k shared out evenly and not, in one round and in several. */
const FEW = [one(1, 1, 16, 1, 2), one(2, 1, 8, 16), one(1, 1, 32, 2)];

test('runs of 4, 4, 4 and 1 groups in each of 3 slices', () => sameForAll(['Q8_0', 36, 38 * 32, 3], FEW));

describe('with fused multiply-adds, as on a GPU', () => {
  let own: KernelLab;
  beforeAll(async () => {
    own = lab;
    lab = await KernelLab.open('f32', false);
  });
  afterEach(() => lab.clear());
  afterAll(() => void (lab = own));

  test.each([
    ['Q4_1', 36, 38 * 32, 3],
    ['F16', 36, 9 * 32, 16],
  ] as const)('%s %i x %i in %i slices: the same bits for every variant and batch', (...shape) => sameForAll(shape, FEW));
});

/** SmolLM2-135M's matrices; of the head not every row is checked. */
const SHIPPED: readonly (readonly [string, MatrixType, number, number, number])[] = [
  ['qkv', 'Q4_1', 960, 576, 1],
  ['attention output', 'Q4_1', 576, 576, 1],
  ['gate and up', 'Q4_1', 3072, 576, 1],
  ['down', 'Q4_1', 576, 1536, 1],
  ['head', 'Q8_0', 49152, 576, 37],
];

test.each(SHIPPED)('%s: %s %i x %i, as shipped', async (name, type, rows, columns, stride) => {
  const random = createRandom(rows + columns);
  const block = randomMatrix(type, rows, columns, random);
  const x = activations(columns, random);
  const matrix = packMatrix(lab, block, { wideScales: lab.gpu.adapter.isSoftware, maxSlices: name === 'down' ? 16 : 1 });
  const tilings = [defaultsFor(matrix, true), ...(isSliced(matrix) ? [defaultsFor(matrix, false)] : [])];
  const all = variantsOf([matrix], tilings, { x: lab.input(x) }, () => lab.output(8 * rows));
  const five = await runVariants(lab, all, { tokens: 5 });
  expect(wrongOutput(block, x, five[0]![0]!, 5, stride)).toBeUndefined();
  expect(firstDeviant(all, five)).toBeUndefined();
  for (const tokens of [1, 2, 4]) {
    const results = await runVariants(lab, all, { tokens });
    expect(firstUnlike(results[0]![0]!, five[0]![0]!, all[0]!.outputs[0]!, tokens * rows), `${tokens} tokens`).toBeUndefined();
    expect(firstDeviant(all, results), `${tokens} tokens`).toBeUndefined();
  }
});

describe.each(['Q4_1', 'Q8_0', 'F16'] as const)('%s, outputs in columns 36 to 103 of 160', (type) => {
  const [rows, columns, offset, stride] = [68, 96, 36, 160];

  test('right, and nothing beside them is touched', async () => {
    const random = createRandom(11);
    const block = randomMatrix(type, rows, columns, random);
    const x = activations(columns, random);
    const before = new Float32Array(MAX_ROWS * stride).map(() => random.normal());
    const place = { x: lab.input(x), outputOffset: offset, outputStride: stride };
    const tilings = [one(1, 1, 8), one(2, 2), one(8, 3), one(3, 2, 8, 1, 2)];
    const all = variantsOf([packMatrix(lab, block)], tilings, place, () => lab.inOut(before));
    const weights = Array.from({ length: rows }, (_, row) => weightsOfRow(block, row));
    for (const tokens of [1, 3, 13]) {
      const results = await runVariants(lab, all, { tokens });
      const { floats, bits } = results[0]![0]!;
      for (let token = 0; token < tokens; token++) {
        const own = x.subarray(token * columns, (token + 1) * columns);
        const expected = weights.map((each) => matmulReference(each, own));
        expect(firstWrong(floats, expected, token * stride + offset), `${tokens} tokens`).toBeUndefined();
      }
      const isOwn = (word: number): boolean =>
        word < tokens * stride && word % stride >= offset && word % stride < offset + rows;
      const touched = bits.findIndex((word, at) => !isOwn(at) && word !== all[0]!.outputs[0]!.before[at]);
      expect(touched, 'beside the outputs').toBe(-1);
      expect(firstDeviant(all, results), `${tokens} tokens`).toBeUndefined();
    }
  });
});
