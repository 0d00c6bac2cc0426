import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { matmulLogits } from '../../../src/kernels/matmul-logits.ts';
import { matmulResidual } from '../../../src/kernels/matmul-residual.ts';
import { squaresBytes } from '../../../src/kernels/matmul.ts';
import { candidatesBytes } from '../../../src/kernels/sample.ts';
import { SAMPLE_BYTES, writeSample } from '../../../src/kernels/step-inputs.ts';
import { exactly, firstWrong, KernelLab, POISON, type Result } from '../../support/kernel-lab.ts';
import { type BlockMatrix, type MatrixType, packMatrix, randomMatrix, rowsFrom, weightsOfRow } from '../../support/kernel-matrix.ts';
import { chunkSquaresReference, inverseRmsReference, matmulOfReference, matmulReference, productReference } from '../../support/kernel-references.ts';
import { activations, firstDeviant, firstUnlike, MAX_ROWS, runVariants, someConfigs } from '../../support/matmul-lab.ts';
import { createRandom } from '../../support/random.ts';
import { type Candidate, runSampler } from '../../support/sampler-lab.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

const EPSILON = 1e-5;
/** Rows in any order, some of them sampled more than once. */
const SAMPLED = [16, 3, 3, 0, 11, 16, 8, 1, 15];
/** Where fields of samples that are not in a step point to: a row that is NaN. */
const STALE = MAX_ROWS - 1;

/** How a sample is drawn: every third greedily. */
const drawOf = (sample: number) => ({
  seed: 5 + sample,
  choice: sample % 2,
  position: 100 + sample,
  temperature: [0, 0.7, 1.5][sample % 3] ?? 0,
});

/** Samples of these rows, the rest of `room` left over from another step. */
function samplesOf(rows: readonly number[], room: number): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array((room * SAMPLE_BYTES) / 4);
  const floats = new Float32Array(words.buffer);
  for (let i = 0; i < room; i++) writeSample(words, floats, (i * SAMPLE_BYTES) / 4, { ...drawOf(i), row: rows[i] ?? STALE, slot: i });
  return words;
}

/** The best candidate of every 32 logits of a sample. */
function candidatesOf({ bits, floats }: Result, sample: number, vocabulary: number): Candidate[] {
  const count = candidatesBytes(vocabulary, 1) / 8;
  return Array.from({ length: count }, (_, i) => {
    const at = (sample * count + i) * 2;
    return { score: floats[at] ?? NaN, token: bits[at + 1] ?? NaN };
  });
}

const bestOf = (candidates: readonly Candidate[]) => candidates.toSorted((a, b) => b.score - a.score || a.token - b.token)[0];

const rowsOf = (block: BlockMatrix, stride: number): number[] =>
  Array.from({ length: block.rows }, (_, row) => row).filter((row) => row % stride === 0 || row === block.rows - 1);

/** The first is SmolLM2-135M's head, of which not every row is checked; samples up to as many as there is room for, and fewer. */
const SHAPES: readonly (readonly [MatrixType, number, number, number, number])[] = [
  ['Q8_0', 49152, 576, 1, 97],
  ['Q4_1', 260, 160, 1, 1],
  ['Q8_0', 148, 9 * 32, 16, 1],
  ['BF16', 324, 96, 1, 1],
];

test.each(SHAPES.map((shape, turn) => [...shape, turn] as const))('%s %i x %i in %i slices: the logits of the samples’ rows', async (type, rows, columns, maxSlices, stride, turn) => {
  const random = createRandom(rows);
  const block = randomMatrix(type, rows, columns, random);
  const matrix = packMatrix(lab, block, { maxSlices });
  const sums = squaresBytes(columns, 1) / 4;
  const isNumber = (at: number, perRow: number): boolean => Math.floor(at / perRow) !== STALE;
  const x = activations(columns, random).map((value, at) => (isNumber(at, columns) ? value : NaN));
  const squares = new Float32Array(MAX_ROWS * sums).map((_, at) => (isNumber(at, sums) ? random.uniform() * columns : NaN));
  // A pipeline is built for a number of samples: with room for more than are drawn, and for no more.
  const room = rows === 260 ? SAMPLED.length : 16;
  const samples = lab.input(samplesOf(SAMPLED, room));
  const shared = { matrix, x: lab.input(x), squares: lab.input(squares), samples, epsilon: EPSILON, counts: lab.sampleCount };
  const all = someConfigs(lab, matrix, { turn }).map(({ name, ...config }) => {
    const outputs = [lab.output(SAMPLED.length * rows), lab.output(candidatesBytes(rows, SAMPLED.length) / 4)] as const;
    const [logits, candidates] = [outputs[0].buffer, outputs[1].buffer];
    const op = matmulLogits(lab.builder, { ...shared, ...config, tokens: (step) => step.samples, logits, candidates });
    return { name, ops: [op], outputs };
  });
  const every = await runVariants(lab, all, { tokens: 17, samples: SAMPLED.length });
  const checked = rowsOf(block, stride);
  for (const row of checked) {
    const weights = weightsOfRow(block, row);
    for (const [sample, from] of SAMPLED.entries()) {
      const norm = inverseRmsReference(exactly(squares.subarray(from * sums, (from + 1) * sums)), columns, EPSILON);
      const expected = productReference(norm, matmulReference(weights, x.subarray(from * columns, (from + 1) * columns)));
      expect(firstWrong(every[0]![0]!.floats, [expected], sample * rows + row), `sample ${sample}`).toBeUndefined();
    }
  }
  expect(firstDeviant(all, every)).toBeUndefined();
  for (const count of [1, 2, 3, 5, 8]) {
    lab.write(samples, samplesOf(SAMPLED.slice(0, count), room));
    const results = await runVariants(lab, all, { tokens: 17, samples: count });
    for (const [i, perSample] of [rows, candidatesBytes(rows, 1) / 4].entries()) {
      const unlike = firstUnlike(results[0]![i]!, every[0]![i]!, all[0]!.outputs[i]!, count * perSample);
      expect(unlike, `${count} samples, output ${i}`).toBeUndefined();
    }
    expect(firstDeviant(all, results), `${count} samples`).toBeUndefined();
  }
  const [logits, candidates] = every[0]! as [Result, Result];
  // Sample 5 has the row of sample 0.
  expect(logits.bits.subarray(0, rows)).toEqual(logits.bits.subarray(5 * rows, 6 * rows));
  const texts = SAMPLED.map((_, sample) => logits.floats.slice(sample * rows, (sample + 1) * rows));
  for (const [sample, own] of texts.entries()) {
    for (const [i, { score, token }] of candidatesOf(candidates, sample, rows).entries()) {
      expect(Math.floor(token / 32)).toBe(i);
      if (drawOf(sample).temperature > 0) continue;
      const neighbours = own.subarray(32 * i, 32 * i + 32);
      expect({ score, token }).toEqual({ score: Math.max(...neighbours), token: 32 * i + neighbours.indexOf(Math.max(...neighbours)) });
    }
  }
  if (rows !== 260) return;
  // The draw begun here is the one that the sampler would begin, of the same logits: to the bit, noise and all.
  const sampled = await runSampler(lab, texts.map((own, sample) => ({ logits: own, draw: drawOf(sample) })));
  for (const [sample, drawn] of sampled.tokens.entries()) {
    const best = bestOf(candidatesOf(candidates, sample, rows));
    expect(best, `sample ${sample}`).toEqual(bestOf(sampled.candidates[sample]!));
    expect(best?.token).toBe(drawn);
  }
});

test('a vocabulary of 4k + 1: what pads its matrix is no candidate', async () => {
  const [rows, columns, vocabSize] = [68, 96, 65];
  const random = createRandom(rows);
  const block = randomMatrix('Q8_0', rows, columns, random); // rows that would win where they are not left out
  const matrix = packMatrix(lab, block);
  const x = activations(columns, random);
  const squares = new Float32Array((MAX_ROWS * squaresBytes(columns, 1)) / 4).map(() => random.uniform() * columns);
  const inputs = { x: lab.input(x), squares: lab.input(squares), samples: lab.input(samplesOf(SAMPLED, 16)), counts: lab.sampleCount };
  const all = someConfigs(lab, matrix).map(({ name, ...config }) => {
    const outputs = [lab.output(SAMPLED.length * rows), lab.output(candidatesBytes(vocabSize, SAMPLED.length) / 4)] as const;
    const [logits, candidates] = [outputs[0].buffer, outputs[1].buffer];
    const args = { ...inputs, ...config, matrix, vocabSize, epsilon: EPSILON, logits, candidates };
    return { name, ops: [matmulLogits(lab.builder, { ...args, tokens: (step) => step.samples })], outputs };
  });
  const results = await runVariants(lab, all, { tokens: 17, samples: SAMPLED.length });
  expect(firstDeviant(all, results)).toBeUndefined();
  const [logits, candidates] = results[0]! as [Result, Result];
  const texts = SAMPLED.map((_, sample) => logits.floats.slice(sample * rows, sample * rows + vocabSize));
  const sampled = await runSampler(lab, texts.map((own, sample) => ({ logits: own, draw: drawOf(sample) })));
  for (const [sample, drawn] of sampled.tokens.entries()) {
    const own = candidatesOf(candidates, sample, vocabSize);
    expect(own.map(({ token }) => Math.floor(token / 32)), `sample ${sample}`).toEqual([0, 1, 2]);
    expect(Math.max(...own.map(({ token }) => token)), `sample ${sample}`).toBeLessThan(vocabSize);
    expect(bestOf(own)?.token, `sample ${sample}`).toBe(drawn);
  }
});

test('a head in several matrices, as where a GPU binds no more: the same logits and candidates to the bit', async () => {
  const [rows, columns] = [324, 96];
  const random = createRandom(rows);
  const block = randomMatrix('Q8_0', rows, columns, random);
  const x = activations(columns, random);
  const squares = new Float32Array((MAX_ROWS * squaresBytes(columns, 1)) / 4).map(() => random.uniform() * columns);
  const samples = lab.input(samplesOf(SAMPLED, 16));
  const shared = { x: lab.input(x), squares: lab.input(squares), samples, epsilon: EPSILON, counts: lab.sampleCount, vocabSize: rows };
  const variants = [[0], [0, 64], [0, 128, 192, 320]].map((firsts) => {
    const outputs = [lab.output(SAMPLED.length * rows), lab.output(candidatesBytes(rows, SAMPLED.length) / 4)] as const;
    const [logits, candidates] = [outputs[0].buffer, outputs[1].buffer];
    const ops = firsts.map((outputOffset, i) => {
      const matrix = packMatrix(lab, rowsFrom(block, outputOffset, firsts[i + 1] ?? rows));
      const config = someConfigs(lab, matrix)[0]!;
      return matmulLogits(lab.builder, { ...shared, ...config, matrix, outputOffset, tokens: (step) => step.samples, logits, candidates });
    });
    return { name: `from ${firsts}`, ops, outputs };
  });
  const results = await runVariants(lab, variants, { tokens: 17, samples: SAMPLED.length });
  expect(results[0]!.every(({ bits }) => bits.every((word) => word !== POISON))).toBe(true);
  expect(firstDeviant(variants, results)).toBeUndefined();
});

/** SmolLM2-135M's last matrix and a head; and vectors that are no multiple of 128. */
test.each([[576, 1536, 512], [96, 160, 68]])('residual of %i x %i, then a head of %i: logits of RMSNorm of the sums', async (size, columns, vocabulary) => {
  const random = createRandom(size);
  const [down, head] = [randomMatrix('Q4_1', size, columns, random), randomMatrix('Q8_0', vocabulary, size, random)];
  const x = activations(columns, random);
  const gain = new Float32Array(size).map(() => 1 + random.normal());
  const before = new Float32Array(MAX_ROWS * size).map(() => 3 * random.normal());
  const [hidden, weighted] = [lab.inOut(before), lab.output(MAX_ROWS * size)];
  const squares = lab.inOut(new Float32Array(squaresBytes(size, MAX_ROWS) / 4));
  const logits = lab.output(SAMPLED.length * vocabulary);
  const begun = { hidden: hidden.buffer, weighted: weighted.buffer, squares: squares.buffer };
  const [lower, upper] = [packMatrix(lab, down), packMatrix(lab, head)];
  const configFor = (matrix: typeof lower) => someConfigs(lab, matrix)[0]!;
  const first = matmulResidual(lab.builder, {
    ...begun,
    ...configFor(lower),
    matrix: lower,
    x: lab.input(x),
    gain: lab.input(gain),
    counts: lab.rowCount,
    tokens: ({ tokens }) => tokens,
  });
  const second = matmulLogits(lab.builder, {
    ...configFor(upper),
    matrix: upper,
    x: weighted.buffer,
    squares: squares.buffer,
    samples: lab.input(samplesOf(SAMPLED, 16)),
    epsilon: EPSILON,
    counts: lab.sampleCount,
    tokens: ({ samples }) => samples,
    logits: logits.buffer,
    candidates: lab.output(candidatesBytes(vocabulary, SAMPLED.length) / 4).buffer,
  });
  const step = { tokens: 17, samples: SAMPLED.length };
  const [result] = await lab.run([first, second], step, [logits, hidden, weighted, squares]);
  const [lowerRows, upperRows] = [rowsOf(down, 1), rowsOf(head, 1)].map((rows, i) => rows.map((row) => weightsOfRow(i === 0 ? down : head, row)));
  for (const [sample, row] of SAMPLED.entries()) {
    const own = x.subarray(row * columns, (row + 1) * columns);
    const stream = lowerRows!.map((weights, i) => matmulReference(weights, own, before[row * size + i]));
    const inverse = inverseRmsReference(chunkSquaresReference(stream), size, EPSILON);
    const normed = stream.map((each, i) => productReference(each, { value: gain[i]!, error: 0 }));
    const expected = upperRows!.map((weights) => productReference(inverse, matmulOfReference(weights, normed)));
    expect(firstWrong(result!.floats, expected, sample * vocabulary), `sample ${sample}`).toBeUndefined();
  }
});
