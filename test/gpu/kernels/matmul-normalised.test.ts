import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { embed } from '../../../src/kernels/embed.ts';
import { matmulNormalised } from '../../../src/kernels/matmul-store.ts';
import { squaresBytes } from '../../../src/kernels/matmul.ts';
import { type Expected, exactly, firstWrong, KernelLab } from '../../support/kernel-lab.ts';
import { type MatrixType, packMatrix, randomMatrix, type RowWeights, weightsOfRow } from '../../support/kernel-matrix.ts';
import { chunkSquaresReference, inverseRmsReference, matmulOfReference, matmulReference, productReference } from '../../support/kernel-references.ts';
import { activations, firstDeviant, MAX_ROWS, onlyRows, runVariants, someConfigs, TOKEN_COUNTS } from '../../support/matmul-lab.ts';
import { createRandom } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

const MOST = 17;
const EPSILON = 1e-5;

/** Where outputs go in a row of y: from an offset, in a row as long as so. */
const SHAPES: readonly (readonly [MatrixType, number, number, number, number, number])[] = [
  ['Q4_0', 68, 96, 1, 36, 160],
  ['Q8_0', 192, 9 * 32, 16, 576, 960],
];

test.each(SHAPES.map((shape, turn) => [...shape, turn] as const))('%s %i x %i in %i slices, in columns from %i of %i', async (type, rows, columns, maxSlices, outputOffset, outputStride, turn) => {
  const random = createRandom(rows + columns);
  const block = randomMatrix(type, rows, columns, random);
  const matrix = packMatrix(lab, block, { maxSlices });
  const x = activations(columns, random);
  // Every row at a size of its own, from where epsilon counts to where it does not.
  const sums = squaresBytes(columns, 1) / 4;
  const squares = new Float32Array(MAX_ROWS * sums).map((_, i) => random.uniform() * 10 ** ((Math.floor(i / sums) % 8) - 6));
  const before = new Float32Array(MOST * outputStride).map(() => random.normal());
  const shared = { matrix, x: lab.input(x), squares: lab.input(squares), epsilon: EPSILON, counts: lab.rowCount };
  const all = someConfigs(lab, matrix, { turn }).map(({ name, ...config }) => {
    const outputs = [lab.inOut(before)] as const;
    const place = { y: outputs[0].buffer, outputOffset, outputStride };
    const op = matmulNormalised(lab.builder, { ...shared, ...config, ...place, tokens: ({ tokens }) => tokens });
    return { name, ops: [op], outputs };
  });
  const weights = Array.from({ length: rows }, (_, row) => weightsOfRow(block, row));
  for (const tokens of TOKEN_COUNTS.toReversed()) {
    lab.write(shared.x, onlyRows(x, tokens * columns));
    lab.write(shared.squares, onlyRows(squares, tokens * sums));
    const results = await runVariants(lab, all, { tokens });
    const { floats, bits } = results[0]![0]!;
    for (let token = 0; token < tokens; token++) {
      const norm = inverseRmsReference(exactly(squares.subarray(token * sums, (token + 1) * sums)), columns, EPSILON);
      const own = x.subarray(token * columns, (token + 1) * columns);
      const expected = weights.map((each) => productReference(norm, matmulReference(each, own)));
      expect(firstWrong(floats, expected, token * outputStride + outputOffset), `token ${token} of ${tokens}`).toBeUndefined();
    }
    const isOwn = (word: number): boolean => {
      const column = (word % outputStride) - outputOffset;
      return word < tokens * outputStride && column >= 0 && column < rows;
    };
    expect(bits.findIndex((word, at) => !isOwn(at) && word !== all[0]!.outputs[0].before[at]), 'beside them').toBe(-1);
    expect(firstDeviant(all, results), `${tokens} tokens`).toBeUndefined();
  }
});

/** RMSNorm of what the first op of a chain rounds, and the product with it. */
function normedProduct(x: readonly Expected[], gain: Float32Array, weights: readonly RowWeights[]): Expected[] {
  const inverse = inverseRmsReference(chunkSquaresReference(x), x.length, EPSILON);
  const weighted = x.map((each, k) => productReference(each, { value: gain[k] ?? NaN, error: 0 }));
  return weights.map((each) => productReference(inverse, matmulOfReference(each, weighted)));
}

/** SmolLM2-135M's vectors, and shorter ones that are no multiple of 128. */
test.each([[960, 576], [68, 160], [4, 32]])('embed, then %i x %i: the product with RMSNorm of the table’s rows', async (rows, columns) => {
  const random = createRandom(rows);
  const table = randomMatrix('Q8_0', 260, columns, random);
  const block = randomMatrix('Q4_1', rows, columns, random);
  const gain = new Float32Array(columns).map(() => 1 + random.normal());
  const ids = [259, 0, 7, 7, 128];
  const [hidden, weighted] = [lab.output(8 * columns), lab.output(8 * columns)];
  // What lies between the sums and the next row's is never written, and read: zeros, as in a new buffer.
  const squares = lab.inOut(new Float32Array(squaresBytes(columns, 8) / 4));
  const y = lab.output(ids.length * rows);
  const begun = { hidden: hidden.buffer, weighted: weighted.buffer, squares: squares.buffer, counts: lab.rowCount };
  const first = embed(lab.builder, {
    ...begun,
    table: packMatrix(lab, table),
    rows: lab.input(new Uint32Array(ids.flatMap((id) => [id, 0, 0, 0]))),
    lastTokens: lab.input(new Uint32Array(4)),
    gain: lab.input(gain),
  });
  const matrix = packMatrix(lab, block);
  const [config] = someConfigs(lab, matrix);
  const args = { matrix, ...config!, x: weighted.buffer, squares: squares.buffer, epsilon: EPSILON, y: y.buffer };
  const second = matmulNormalised(lab.builder, { ...args, counts: lab.rowCount, tokens: ({ tokens }) => tokens });
  const [result] = await lab.run([first, second], { tokens: ids.length }, [y, hidden, weighted, squares]);
  const weights = Array.from({ length: rows }, (_, row) => weightsOfRow(block, row));
  for (const [token, id] of ids.entries()) {
    const x = exactly(Float32Array.from(weightsOfRow(table, id).values));
    expect(firstWrong(result!.floats, normedProduct(x, gain, weights), token * rows), `token ${token}`).toBeUndefined();
  }
});
