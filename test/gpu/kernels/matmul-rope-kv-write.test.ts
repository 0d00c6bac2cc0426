import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { runSync } from '../../../src/core/cooperative-task.ts';
import { matmulRopeKvWrite } from '../../../src/kernels/matmul-rope-kv-write.ts';
import { type PackedMatrix, squaresBytes } from '../../../src/kernels/matmul.ts';
import { queriesBytes, rotationTable } from '../../../src/kernels/rope-kv-write.ts';
import { fromHalf } from '../../support/ggml-blocks.ts';
import { exactly, KernelLab } from '../../support/kernel-lab.ts';
import { type BlockMatrix, type MatrixType, packMatrix, randomMatrix, weightsOfRow } from '../../support/kernel-matrix.ts';
import { inverseRmsReference, matmulReference, productReference, sumReference } from '../../support/kernel-references.ts';
import { cacheWords, elementWord } from '../../support/kv-layout.ts';
import { activations, firstDeviant, MAX_ROWS, onlyRows, runVariants, someConfigs, tokenCounts, type LabVariant } from '../../support/matmul-lab.ts';
import { expectedQkv, firstMisplaced, firstUnlikeAll } from '../../support/qkv-layout.ts';
import { createRandom } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

const EPSILON = 1e-5;
const THETA = 100_000;
const POSITIONS = 8192;
const BLOCK_SIZE = 16;
const NUM_BLOCKS = 5;
/** Rows of several requests: positions and places in the cache have nothing to do with each other. */
const ROWS = [
  [0, 79], [1, 0], [2, 16], [4095, 15], [17, 33], [8191, 32], [3, 50], [0, 64], [100, 7],
  [512, 8], [513, 9], [31, 63], [32, 48], [33, 78], [7, 31], [6, 30], [5, 17],
].map(([position = 0, slot = 0]) => ({ position, slot }));

interface Shape {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly ropeDimensions: number;
  readonly columns: number;
  readonly maxSlices: number;
  /** One matrix, or one each for queries, keys and values, which then start at offsets of their own. */
  readonly types: readonly MatrixType[];
  readonly biased?: boolean;
}

/** The first is SmolLM2-135M's. Groups of 1, 2, 3, 5, 6 and 8 heads; heads of 16 to 256; rotation of all, of some and of pairs that end within a lane. */
const SHAPES: readonly Shape[] = [
  { numHeads: 9, numKvHeads: 3, headSize: 64, ropeDimensions: 64, columns: 576, maxSlices: 1, types: ['Q4_1'] },
  { numHeads: 9, numKvHeads: 3, headSize: 64, ropeDimensions: 64, columns: 576, maxSlices: 1, types: ['Q4_1', 'Q4_1', 'Q8_0'] },
  { numHeads: 2, numKvHeads: 2, headSize: 16, ropeDimensions: 16, columns: 32, maxSlices: 1, types: ['Q8_0'], biased: true },
  { numHeads: 4, numKvHeads: 2, headSize: 80, ropeDimensions: 32, columns: 9 * 32, maxSlices: 3, types: ['Q8_0'] },
  { numHeads: 8, numKvHeads: 1, headSize: 32, ropeDimensions: 10, columns: 96, maxSlices: 1, types: ['Q4_0', 'F16', 'F16'], biased: true },
  { numHeads: 5, numKvHeads: 1, headSize: 128, ropeDimensions: 128, columns: 160, maxSlices: 1, types: ['Q4_0'] },
  { numHeads: 6, numKvHeads: 1, headSize: 256, ropeDimensions: 64, columns: 64, maxSlices: 1, types: ['Q8_0'] },
];

interface Part {
  readonly block: BlockMatrix;
  readonly matrix: PackedMatrix;
  readonly outputOffset: number;
}

/** The matrices, side by side. */
function partsOf({ numHeads, numKvHeads, headSize, columns, maxSlices, types }: Shape): Part[] {
  const random = createRandom(numHeads * headSize + columns);
  const each = [numHeads * headSize, numKvHeads * headSize, numKvHeads * headSize];
  const rows = types.length === 1 ? [each.reduce((sum, part) => sum + part)] : each;
  return types.map((type, i) => {
    const block = randomMatrix(type, rows[i] ?? 0, columns, random);
    const outputOffset = rows.slice(0, i).reduce((sum, part) => sum + part, 0);
    return { block, matrix: packMatrix(lab, block, { maxSlices, wideScales: type === 'Q4_1' }), outputOffset };
  });
}

/** The inputs, and every variant with outputs of its own. */
function setUp(shape: Shape, parts: readonly Part[]) {
  const { columns, numHeads, numKvHeads, headSize, biased = false } = shape;
  const random = createRandom(columns);
  const bias = new Float32Array((numHeads + 2 * numKvHeads) * headSize).map(() => (biased ? 3 * random.normal() : 0));
  const x = activations(columns, random);
  const squares = new Float32Array((MAX_ROWS * squaresBytes(columns, 1)) / 4).map(() => random.uniform() * columns);
  const rows = Array.from({ length: MAX_ROWS }, (_, row) => ROWS[row] ?? { position: 1e9, slot: 1e9 });
  const shared = {
    ...shape,
    bias: biased ? lab.input(bias) : undefined,
    blockSize: BLOCK_SIZE,
    epsilon: EPSILON,
    x: lab.input(x),
    squares: lab.input(squares),
    rows: lab.input(new Uint32Array(rows.flatMap(({ position, slot }) => [9999, position, slot, 9999]))),
    rotation: lab.input(runSync(rotationTable(POSITIONS, shape.ropeDimensions, THETA))),
    counts: lab.rowCount,
    tokens: ({ tokens }: { tokens: number }) => tokens,
  };
  const words = cacheWords({ ...shape, blockSize: BLOCK_SIZE }, 'f32', NUM_BLOCKS);
  const [{ matrix } = { matrix: undefined }] = parts;
  if (matrix === undefined) throw new Error('no matrix');
  const configs = someConfigs(lab, matrix, { turn: SHAPES.indexOf(shape) });
  const all = configs.map(({ name, ...config }): LabVariant => {
    const outputs = [lab.output(queriesBytes(shape, ROWS.length) / 4), lab.output(words), lab.output(words)] as const;
    const [queries, keys, values] = [outputs[0].buffer, outputs[1].buffer, outputs[2].buffer];
    const dtype = { kvCacheDtype: 'f32' } as const;
    const ops = parts.map((part) => matmulRopeKvWrite(lab.builder, { ...shared, ...dtype, ...config, ...part, queries, keys, values }));
    return { name, ops, outputs };
  });
  return { x, squares, bias, shared, config: configs[0]!, all };
}

test.each(SHAPES)('$types, $numHeads heads over $numKvHeads of $headSize, $ropeDimensions rotated, k $columns in $maxSlices', async (shape) => {
  const { columns } = shape;
  const sums = squaresBytes(columns, 1) / 4;
  const parts = partsOf(shape);
  const { x, squares, bias, shared, all } = setUp(shape, parts);
  const weights = parts.flatMap(({ block }) => Array.from({ length: block.rows }, (_, row) => weightsOfRow(block, row)));
  const rows = ROWS.map((place, row) => {
    const norm = inverseRmsReference(exactly(squares.subarray(row * sums, (row + 1) * sums)), columns, EPSILON);
    const own = x.subarray(row * columns, (row + 1) * columns);
    return { ...place, qkv: weights.map((each, i) => sumReference(productReference(norm, matmulReference(each, own)), bias[i] ?? NaN)) };
  });
  const rope = { dimensions: shape.ropeDimensions, theta: THETA };
  const expected = expectedQkv({ ...shape, blockSize: BLOCK_SIZE }, rope, rows, [all[0]!.outputs[0]!.words, NUM_BLOCKS]);
  const most = await runVariants(lab, all, { tokens: ROWS.length });
  for (const [i, name] of ['queries', 'keys', 'values'].entries()) {
    expect(firstMisplaced(most[0]![i]!, all[0]!.outputs[i]!, expected[i]!), name).toBeUndefined();
  }
  expect(firstDeviant(all, most)).toBeUndefined();
  for (const tokens of tokenCounts(parts[0]!.matrix)) {
    lab.write(shared.x, onlyRows(x, tokens * columns));
    lab.write(shared.squares, onlyRows(squares, tokens * sums));
    const results = await runVariants(lab, all, { tokens });
    for (const i of [0, 1, 2]) {
      const fault = firstUnlikeAll(results[0]![i]!, most[0]![i]!, all[0]!.outputs[i]!, expected[i]!, tokens);
      expect(fault, `${tokens} tokens, output ${i}`).toBeUndefined();
    }
    expect(firstDeviant(all, results), `${tokens} tokens`).toBeUndefined();
  }
});

test.each(SHAPES)('$types, $numHeads heads over $numKvHeads of $headSize: a cache of half floats holds what one of f32 does', async (shape) => {
  const { numKvHeads, headSize } = shape;
  const parts = partsOf(shape);
  const { shared, config, all } = setUp(shape, parts);
  const layout = { ...shape, blockSize: BLOCK_SIZE };
  const words = cacheWords(layout, 'f16', NUM_BLOCKS);
  const outputs = [lab.output(all[0]!.outputs[0]!.words), lab.output(words), lab.output(words)] as const;
  const [queries, keys, values] = [outputs[0].buffer, outputs[1].buffer, outputs[2].buffer];
  const { name: _, ...how } = config;
  const ops = parts.map((part) => matmulRopeKvWrite(lab.builder, { ...shared, kvCacheDtype: 'f16', ...how, ...part, queries, keys, values }));
  const exact = await lab.run(all[0]!.ops, { tokens: ROWS.length }, all[0]!.outputs);
  const halves = await lab.run(ops, { tokens: ROWS.length }, outputs);
  expect(halves[0]!.bits).toEqual(exact[0]!.bits);
  for (const [i, kind] of (['key', 'value'] as const).entries()) {
    const [wide, narrow] = [exact[i + 1]!.floats, new Uint16Array(halves[i + 1]!.bits.buffer)];
    const touched = new Set<number>();
    for (const { slot } of ROWS) {
      for (let at = 0; at < numKvHeads * headSize; at++) {
        const [vector, element] = [{ kind, slot, kvHead: Math.floor(at / headSize) }, at % headSize];
        const word = elementWord(layout, 'f16', vector, element);
        touched.add(word);
        const value = wide[elementWord(layout, 'f32', vector, element)] ?? NaN;
        const held = fromHalf(narrow[2 * word + (element % 2)] ?? NaN);
        expect(Math.abs(held - value), `${kind} ${slot}, ${at}`).toBeLessThanOrEqual(Math.abs(value) * 2 ** -10 + 2 ** -24);
      }
    }
    const written = halves[i + 1]!.bits.findIndex((word, at) => !touched.has(at) && word !== outputs[i + 1]!.before[at]);
    expect(written).toBe(-1);
  }
});
