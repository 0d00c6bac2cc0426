import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { matmulSiluMul } from '../../../src/kernels/matmul-silu-mul.ts';
import { squaresBytes } from '../../../src/kernels/matmul.ts';
import { exactly, firstWrong, KernelLab } from '../../support/kernel-lab.ts';
import { type MatrixType, packMatrix, randomMatrix, weightsOfRow } from '../../support/kernel-matrix.ts';
import { inverseRmsReference, matmulReference, productReference, siluMulReference } from '../../support/kernel-references.ts';
import { activations, firstDeviant, firstUnlike, MAX_ROWS, onlyRows, runVariants, someConfigs, tokenCounts } from '../../support/matmul-lab.ts';
import { createRandom } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

const MOST = 17;
const EPSILON = 1e-5;

/** 3072 x 576 is SmolLM2-135M's. Halves of one tile and of three; k no multiple of 128. */
const SHAPES: readonly (readonly [MatrixType, number, number, number])[] = [
  ['Q4_0', 128, 160, 1],
  ['Q8_0', 384, 9 * 32, 16],
  ['Q4_1', 3072, 576, 1],
];

test.each(SHAPES.map((shape, turn) => [...shape, turn] as const))('%s %i x %i in %i slices: gates times ups of normalised x', async (type, rows, columns, maxSlices, turn) => {
  const random = createRandom(rows + columns);
  const block = randomMatrix(type, rows, columns, random);
  const matrix = packMatrix(lab, block, { maxSlices, wideScales: rows === 3072 });
  const x = activations(columns, random);
  // Every row of a size of its own: gates from flat to saturated.
  const sums = squaresBytes(columns, 1) / 4;
  const squares = new Float32Array(MAX_ROWS * sums).map((_, i) => random.uniform() * 10 ** ((Math.floor(i / sums) % 5) - 1));
  const shared = { matrix, x: lab.input(x), squares: lab.input(squares), epsilon: EPSILON, counts: lab.rowCount };
  const all = someConfigs(lab, matrix, { paired: true, turn }).map(({ name, ...config }) => {
    const outputs = [lab.output(MOST * (rows / 2))] as const;
    const op = matmulSiluMul(lab.builder, { ...shared, ...config, tokens: ({ tokens }) => tokens, y: outputs[0].buffer });
    return { name, ops: [op], outputs };
  });
  const most = await runVariants(lab, all, { tokens: MOST });
  const weights = Array.from({ length: rows }, (_, row) => weightsOfRow(block, row));
  for (let token = 0; token < MOST; token++) {
    const norm = inverseRmsReference(exactly(squares.subarray(token * sums, (token + 1) * sums)), columns, EPSILON);
    const own = x.subarray(token * columns, (token + 1) * columns);
    const products = weights.map((each) => productReference(norm, matmulReference(each, own)));
    const expected = siluMulReference(products.slice(0, rows / 2), products.slice(rows / 2));
    expect(firstWrong(most[0]![0]!.floats, expected, token * (rows / 2)), `token ${token}`).toBeUndefined();
  }
  expect(firstDeviant(all, most)).toBeUndefined();
  for (const tokens of tokenCounts(matrix)) {
    lab.write(shared.x, onlyRows(x, tokens * columns));
    lab.write(shared.squares, onlyRows(squares, tokens * sums));
    const results = await runVariants(lab, all, { tokens });
    expect(firstUnlike(results[0]![0]!, most[0]![0]!, all[0]!.outputs[0], tokens * (rows / 2)), `${tokens} tokens`).toBeUndefined();
    expect(firstDeviant(all, results), `${tokens} tokens`).toBeUndefined();
  }
});

test('saturates: nothing is NaN, however large the gate', async () => {
  const random = createRandom(3);
  const block = randomMatrix('Q8_0', 128, 32, random);
  const matrix = packMatrix(lab, block);
  const x = activations(32, random).map((value) => value * 1e4);
  const y = lab.output(64);
  const squares = lab.input(new Float32Array(4).fill(8));
  const [config] = someConfigs(lab, matrix, { paired: true });
  const args = { matrix, x: lab.input(x), squares, epsilon: 0, counts: lab.rowCount, y: y.buffer };
  const op = matmulSiluMul(lab.builder, { ...args, ...config!, tokens: () => 1 });
  const [result] = await lab.run([op], { tokens: 1 }, [y]);
  const products = Array.from({ length: 128 }, (_, row) => matmulReference(weightsOfRow(block, row), x.subarray(0, 32)));
  expect(Math.min(...products.map(({ value }) => value))).toBeLessThan(-200);
  expect(firstWrong(result!.floats, siluMulReference(products.slice(0, 64), products.slice(64)))).toBeUndefined();
});
