import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { matmulResidual } from '../../../src/kernels/matmul-residual.ts';
import { exactly, firstWritten, firstWrong, KernelLab, type Result } from '../../support/kernel-lab.ts';
import { type MatrixType, packMatrix, randomMatrix, type RowWeights, weightsOfRow } from '../../support/kernel-matrix.ts';
import { chunkSquaresReference, matmulReference } from '../../support/kernel-references.ts';
import { activations, firstDeviant, firstUnlike, MAX_ROWS, onlyRows, runVariants, someConfigs, tokenCounts } from '../../support/matmul-lab.ts';
import { createRandom } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

const MOST = 17;

/** The last two are SmolLM2-135M's. Outputs no multiple of 64, of 128 or of 32; one tile and several; k no multiple of 128. */
const SHAPES: readonly (readonly [MatrixType, number, number, number])[] = [
  ['Q4_0', 60, 96, 1],
  ['Q8_0', 148, 9 * 32, 16],
  ['Q4_1', 576, 576, 1],
  ['Q4_1', 576, 1536, 1],
];

/** What a step has to leave behind, given what it added to: the first thing that is not so. */
function fault(results: readonly Result[], inputs: { weights: readonly RowWeights[]; x: Float32Array; hidden: Float32Array; gain: Float32Array }) {
  const { weights, x, hidden, gain } = inputs;
  const [sums, weighted, squares] = results as [Result, Result, Result];
  const [rows, columns] = [weights.length, x.length / MAX_ROWS];
  const words = 4 * Math.ceil(rows / 128);
  for (let token = 0; token < MOST; token++) {
    const own = x.subarray(token * columns, (token + 1) * columns);
    const expected = weights.map((each, row) => matmulReference(each, own, hidden[token * rows + row]));
    const wrong = firstWrong(sums.floats, expected, token * rows);
    if (wrong !== undefined) return `hidden: ${wrong}`;
    // What follows from the sums, follows from their bits.
    const stream = sums.floats.subarray(token * rows, (token + 1) * rows);
    const timesGain = [...stream].map((value, row) => Math.fround(value * (gain[row] ?? NaN)));
    const products = firstWrong(weighted.floats, exactly(timesGain), token * rows);
    if (products !== undefined) return `weighted: ${products}`;
    const chunks = chunkSquaresReference(exactly(stream));
    const squared = firstWrong(squares.floats, chunks, token * words) ?? firstWritten(squares, token * words + chunks.length, (token + 1) * words);
    if (squared !== undefined) return `squares: ${squared}`;
  }
  return undefined;
}

test.each(SHAPES.map((shape, turn) => [...shape, turn] as const))('%s %i x %i in %i slices: added, weighted, squared, and nothing else touched', async (type, rows, columns, maxSlices, turn) => {
  const random = createRandom(rows + columns);
  const block = randomMatrix(type, rows, columns, random);
  const matrix = packMatrix(lab, block, { maxSlices, wideScales: columns === 576 });
  const x = activations(columns, random);
  const hidden = new Float32Array(MOST * rows).map(() => 3 * random.normal());
  const gain = new Float32Array(rows).map(() => random.normal());
  const words = 4 * Math.ceil(rows / 128);
  const shared = { matrix, x: lab.input(x), gain: lab.input(gain), counts: lab.rowCount };
  const all = someConfigs(lab, matrix, { turn }).map(({ name, ...config }) => {
    const outputs = [lab.inOut(hidden), lab.output(MOST * rows), lab.output(MOST * words)] as const;
    const [stream, weighted, squares] = [outputs[0].buffer, outputs[1].buffer, outputs[2].buffer];
    const op = matmulResidual(lab.builder, { ...shared, ...config, tokens: ({ tokens }) => tokens, hidden: stream, weighted, squares });
    return { name, ops: [op], outputs };
  });
  const most = await runVariants(lab, all, { tokens: MOST });
  const weights = Array.from({ length: rows }, (_, row) => weightsOfRow(block, row));
  expect(fault(most[0]!, { weights, x, hidden, gain })).toBeUndefined();
  expect(firstDeviant(all, most)).toBeUndefined();
  for (const tokens of tokenCounts(matrix)) {
    lab.write(shared.x, onlyRows(x, tokens * columns));
    const results = await runVariants(lab, all, { tokens });
    for (const [i, perToken] of [rows, rows, words].entries()) {
      const unlike = firstUnlike(results[0]![i]!, most[0]![i]!, all[0]!.outputs[i]!, tokens * perToken);
      expect(unlike, `${tokens} tokens, output ${i}`).toBeUndefined();
    }
    expect(firstDeviant(all, results), `${tokens} tokens`).toBeUndefined();
  }
});
