import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isSliced, matmul, type StoreArgs } from '../../../src/kernels/matmul.ts';
import { firstDifference, firstWritten, firstWrong, KernelLab, type Output, type Result } from '../../support/kernel-lab.ts';
import { type BlockMatrix, type MatrixType, packMatrix, randomMatrix, weightsOfRow } from '../../support/kernel-matrix.ts';
import { matmulReference } from '../../support/kernel-references.ts';
import { tilings } from '../../support/matmul-tilings.ts';
import { createRandom, type Random } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

/** Token counts up to this, and the rows that a lane of 8 tokens reads beyond them. */
const MAX_TOKENS = 32;

/** x of MAX_TOKENS rows; about a third of it a hundred times larger than the rest, as activations are. */
function activations(columns: number, random: Random): Float32Array<ArrayBuffer> {
  return new Float32Array(MAX_TOKENS * columns).map(() => random.normal() * (random.below(3) === 0 ? 10 : 0.1));
}

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

/** How x can reach the lanes on this adapter; the first is how it does in a model. */
function activationKinds(): readonly boolean[] {
  return lab.gpu.hasSubgroups ? [true, false] : [false];
}

type Product = Pick<StoreArgs, 'matrix' | 'x' | 'outputOffset' | 'outputStride'>;

/** A product in every tiling. */
function everyTiling(subgroups: boolean, y: () => Output, product: Product) {
  return Object.entries(tilings(isSliced(product.matrix))).map(([tiling, ascending]) => {
    const output = y();
    const op = matmul(lab.builder, {
      ...product,
      y: output.buffer,
      counts: lab.rowCount,
      tokens: (step) => step.tokens,
      subgroups,
      tilings: ascending,
    });
    const kind = `${subgroups ? 'subgroup' : 'uniform'}${product.matrix.wideScales ? ', wide scales' : ''}`;
    return { name: `${kind}, ${tiling}`, op, output };
  });
}

type Variants = ReturnType<typeof everyTiling>;

/** Runs all of them side by side. */
async function runAll(all: Variants, tokens: number): Promise<readonly [Result, ...Result[]]> {
  const [first, ...others] = await lab.run(
    all.map(({ op }) => op),
    { tokens },
    all.map(({ output }) => output),
  );
  if (first === undefined) throw new Error('no variant');
  return [first, ...others];
}

/** The first variant whose bits differ from `alone`, or that wrote rows beyond the step's. */
function firstDeviant(all: Variants, results: readonly Result[], alone: Result, words: number): string | undefined {
  for (const [i, result] of results.entries()) {
    const fault = firstDifference(result, alone, words) ?? firstWritten(result, words);
    if (fault !== undefined) return `${all[i]?.name}: ${fault}`;
  }
  return undefined;
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
];

test.each(SHAPES)('%s %i x %i in %i slices: the same bits for every variant and batch', async (type, rows, columns, maxSlices) => {
  const random = createRandom(rows * columns);
  const matrix = randomMatrix(type, rows, columns, random);
  const x = activations(columns, random);
  const xs = lab.input(x);
  const all = (type === 'Q4_1' ? [false, true] : [false]).flatMap((wideScales) => {
    const packed = packMatrix(lab, matrix, { wideScales, maxSlices });
    const y = (): Output => lab.output(MAX_TOKENS * rows);
    return activationKinds().flatMap((subgroups) => everyTiling(subgroups, y, { matrix: packed, x: xs }));
  });
  const full = await runAll(all, MAX_TOKENS);
  expect(wrongOutput(matrix, x, full[0], MAX_TOKENS)).toBeUndefined();
  expect(firstDeviant(all, full, full[0], MAX_TOKENS * rows)).toBeUndefined();
  for (const tokens of [1, 2, 3, 4, 5, 8, 9, 16, 17]) {
    // What lies behind the step's rows is left over from other steps, and must not matter.
    lab.write(xs, x.map((value, i) => (i < tokens * columns ? value : NaN)));
    const results = await runAll(all, tokens);
    expect(firstDeviant(all, results, full[0], tokens * rows), `${tokens} tokens`).toBeUndefined();
  }
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
  const matrix = randomMatrix(type, rows, columns, random);
  const x = activations(columns, random);
  const packed = packMatrix(lab, matrix, { wideScales: lab.gpu.adapter.isSoftware, maxSlices: name === 'qkv' ? 16 : 1 });
  const kinds = name === 'down' ? activationKinds() : activationKinds().slice(0, 1);
  const all = kinds.flatMap((subgroups) =>
    everyTiling(subgroups, () => lab.output(8 * rows), { matrix: packed, x: lab.input(x) }),
  );
  const five = await runAll(all, 5);
  expect(wrongOutput(matrix, x, five[0], 5, stride)).toBeUndefined();
  expect(firstDeviant(all, five, five[0], 5 * rows)).toBeUndefined();
  expect(firstDeviant(all, await runAll(all, 1), five[0], rows)).toBeUndefined();
});

describe.each(['Q4_1', 'Q8_0'] as const)('%s, outputs in columns 36 to 103 of 160', (type) => {
  const [rows, columns, offset, stride] = [68, 96, 36, 160];

  test('right, and nothing beside them is touched', async () => {
    const random = createRandom(11);
    const matrix = randomMatrix(type, rows, columns, random);
    const x = activations(columns, random);
    const before = new Float32Array(MAX_TOKENS * stride).map(() => random.normal());
    const all = everyTiling(activationKinds()[0] ?? false, () => lab.inOut(before), {
      matrix: packMatrix(lab, matrix),
      x: lab.input(x),
      outputOffset: offset,
      outputStride: stride,
    });
    const expected = Array.from({ length: rows }, (_, row) => weightsOfRow(matrix, row));
    for (const tokens of [1, 3, 13]) {
      const results = await runAll(all, tokens);
      for (let token = 0; token < tokens; token++) {
        const at = token * stride + offset;
        const xs = x.subarray(token * columns, (token + 1) * columns);
        const own = expected.map((weights) => matmulReference(weights, xs));
        expect(firstWrong(results[0].floats, own, at), `${tokens} tokens`).toBeUndefined();
      }
      for (const [i, { name, output }] of all.entries()) {
        const isOwn = (word: number): boolean =>
          word < tokens * stride && word % stride >= offset && word % stride < offset + rows;
        const touched = results[i]?.bits.findIndex((word, at) => !isOwn(at) && word !== output.before[at]);
        expect(touched, `${name}: beside the outputs`).toBe(-1);
        expect(firstDifference(results[i] ?? results[0], results[0]), name).toBeUndefined();
      }
    }
  });
});
