import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { attention, partialsBytes } from '../../../src/kernels/attention.ts';
import { matmulMergedResidual, matmulResidual } from '../../../src/kernels/matmul-residual.ts';
import { ROW_BYTES } from '../../../src/kernels/step-inputs.ts';
import { exactly, firstWritten, firstWrong, KernelLab, type Result } from '../../support/kernel-lab.ts';
import { type MatrixType, packMatrix, randomMatrix, type RowWeights, weightsOfRow } from '../../support/kernel-matrix.ts';
import { chunkSquaresReference, matmulReference } from '../../support/kernel-references.ts';
import { activations, firstDeviant, firstUnlike, MAX_ROWS, onlyRows, runVariants, someWays, tokenCounts } from '../../support/matmul-lab.ts';
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
  const all = someWays(lab, matrix, { turn }).map(({ name, ...way }) => {
    const outputs = [lab.inOut(hidden), lab.output(MOST * rows), lab.output(MOST * words)] as const;
    const [stream, weighted, squares] = [outputs[0].buffer, outputs[1].buffer, outputs[2].buffer];
    const op = matmulResidual(lab.builder, { ...shared, ...way, tokens: ({ tokens }) => tokens, hidden: stream, weighted, squares });
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

/** SmolLM2-135M's heads; contexts of 1 to 4 splits, at their edges. */
const ATTENTION = { numHeads: 9, numKvHeads: 3, headSize: 64, blockSize: 16, maxBlocks: 40 };

test.each(['Q4_1', 'Q8_0'] as const)('%s: of attention’s splits, the same bits merged as they are read as merged before', async (type) => {
  const [rows, columns] = [148, 576];
  const random = createRandom(7);
  const matrix = packMatrix(lab, randomMatrix(type, rows, columns, random), { maxSlices: 3 });
  // [head][split] of 64 elements, and behind them the largest score and the sum of weights.
  const partials = new Float32Array(partialsBytes(ATTENTION, 1) / 4).map((_, i) => (i % 68 === 65 ? 1 + random.uniform() : 2 * random.normal()));
  const hidden = new Float32Array(rows).map(() => random.normal());
  const unused = lab.input(new Float32Array(16));
  const attended = lab.output(8 * columns);
  const position = lab.input(new Uint32Array(ROW_BYTES / 4));
  const shared = { ...ATTENTION, rows: position, matrix, gain: lab.input(hidden), counts: lab.rowCount, tokens: () => 1 };
  const read = lab.input(partials);
  const buffers = { queries: unused, keys: unused, values: unused, blockTables: unused, partials: read, y: attended.buffer };
  const attentionLanes = { classLanes: 1, vectorLanes: 4, tileRows: 1, isFlat: true } as const;
  const lanes = { attentionLanes, subgroups: lab.gpu.hasSubgroups, singles: unused, tiles: unused };
  const [, , merge] = attention(lab.builder, { ...shared, ...buffers, ...lanes, kvCacheDtype: 'f32' });
  const outputs = () => [lab.inOut(hidden), lab.output(rows), lab.output(4 * Math.ceil(rows / 128))] as const;
  const bind = ([stream, weighted, squares]: ReturnType<typeof outputs>) => ({ hidden: stream.buffer, weighted: weighted.buffer, squares: squares.buffer });
  const all = someWays(lab, matrix).slice(0, 2).flatMap(({ name, subgroups, tilings }) => {
    const way = { subgroups, tilings: tilings.slice(0, 1) };
    const [before, as] = [outputs(), outputs()];
    const apart = matmulResidual(lab.builder, { ...shared, ...way, ...bind(before), x: attended.buffer });
    const merged = matmulMergedResidual(lab.builder, { ...shared, ...way, ...bind(as), x: read, maxMergedSplits: 4 });
    return [
      { name: `${name}, merged before`, ops: [merge, apart], outputs: before },
      { name: `${name}, merged as read`, ops: merged, outputs: as },
    ];
  });
  for (const context of [1, 128, 129, 257, 385, 512]) {
    // Splits that the row does not have are left over from another step.
    const splits = Math.ceil(context / 128);
    lab.write(read, partials.map((value, i) => (Math.floor(i / 68) % 5 < splits ? value : NaN)));
    lab.write(position, new Uint32Array([0, context - 1, 0, 0]));
    const results = await runVariants(lab, all, { tokens: 1, maxContext: context });
    expect(results[0]![0]!.floats.every((value, i) => Number.isFinite(value) && value !== hidden[i]), `context ${context}`).toBe(true);
    expect(firstDeviant(all, results), `context ${context}`).toBeUndefined();
  }
});
