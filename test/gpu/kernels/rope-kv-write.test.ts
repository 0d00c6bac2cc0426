import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runSync } from '../../../src/core/cooperative-task.ts';
import { KV_CACHE_DTYPES, type KvCacheDtype } from '../../../src/core/kv-cache-dtype.ts';
import { queriesBytes, ropeKvWrite, rotationTable } from '../../../src/kernels/rope-kv-write.ts';
import { fromHalf } from '../../support/ggml-blocks.ts';
import { exactly, type Expected, firstDifference, firstWrong, KernelLab, type Output, type Result } from '../../support/kernel-lab.ts';
import { headNormReference, quantiseReference, ropeReference, sumReference } from '../../support/kernel-references.ts';
import { cacheWords, type CacheVector, elementWord, scaleWord } from '../../support/kv-layout.ts';
import { queryWord } from '../../support/qkv-layout.ts';
import { createRandom } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

interface Shape {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly ropeDimensions: number;
  /** What is done before the rotation. */
  readonly before: 'none' | 'bias' | 'norm';
}

const BLOCK_SIZE = 16;
const NUM_BLOCKS = 5;
const THETA = 100_000;
const EPSILON = 1e-5;
const POSITIONS = 8192;
/** Rows of several requests: positions and places in the cache have nothing to do with each other. */
const POSITION = [0, 1, 2, 4095, 17, 8191, 3, 0, 100];
const CACHE_SLOT = [79, 0, 16, 15, 33, 32, 50, 64, 7];
const ROWS = POSITION.length;

/** The first is SmolLM2-135M's. Then groups of 1, 2, 4, 5 and 8 heads, head sizes, partial rotation. */
const SHAPES: readonly Shape[] = [
  { numHeads: 9, numKvHeads: 3, headSize: 64, ropeDimensions: 64, before: 'none' },
  { numHeads: 2, numKvHeads: 2, headSize: 16, ropeDimensions: 16, before: 'bias' },
  { numHeads: 4, numKvHeads: 2, headSize: 80, ropeDimensions: 32, before: 'norm' },
  { numHeads: 4, numKvHeads: 1, headSize: 32, ropeDimensions: 8, before: 'norm' },
  { numHeads: 5, numKvHeads: 1, headSize: 128, ropeDimensions: 128, before: 'bias' },
  { numHeads: 16, numKvHeads: 2, headSize: 256, ropeDimensions: 64, before: 'norm' },
];

function setUp(shape: Shape, dtype: KvCacheDtype, ropeLanes = 64) {
  const { numHeads, numKvHeads, headSize } = shape;
  const random = createRandom(numHeads * headSize);
  const heads = numHeads + 2 * numKvHeads;
  const qkv = new Float32Array(ROWS * heads * headSize).map(() => random.normal());
  const words = cacheWords({ ...shape, blockSize: BLOCK_SIZE }, dtype, NUM_BLOCKS);
  const queries = lab.output(queriesBytes(shape, ROWS) / 4);
  const keys = lab.output(words);
  const values = lab.output(words);
  const rows = new Uint32Array(POSITION.flatMap((position, row) => [9999, position, CACHE_SLOT[row] ?? 0, 9999]));
  const inputs = { qkv: lab.input(qkv), rows: lab.input(rows) };
  const bias = new Float32Array(heads * headSize).map(() => random.normal());
  const gain = new Float32Array(2 * headSize).map(() => 1 + random.normal() / 4);
  const before = {
    none: () => undefined,
    bias: () => ({ bias: lab.input(bias) }),
    norm: () => ({ gain: lab.input(gain), epsilon: EPSILON }),
  }[shape.before]();
  const op = ropeKvWrite(lab.builder, {
    ...shape,
    ...inputs,
    before,
    blockSize: BLOCK_SIZE,
    kvCacheDtype: dtype,
    ropeLanes,
    rotation: lab.input(runSync(rotationTable(POSITIONS, shape.ropeDimensions, THETA))),
    queries: queries.buffer,
    keys: keys.buffer,
    values: values.buffer,
    counts: lab.rowCount,
  });
  const given = (row: number, h: number): Float32Array =>
    qkv.subarray((row * heads + h) * headSize, (row * heads + h + 1) * headSize);
  /** A head's elements as they are rotated. */
  const head = (row: number, h: number): readonly Expected[] => {
    const own = given(row, h);
    if (shape.before === 'bias') {
      return Array.from(own, (value, i) => sumReference({ value, error: 0 }, bias[h * headSize + i] ?? NaN));
    }
    if (shape.before === 'none' || h >= numHeads + numKvHeads) return exactly(own);
    return headNormReference(own, gain.subarray(h < numHeads ? 0 : headSize), EPSILON);
  };
  return { op, given, head, rows, inputs, outputs: [queries, keys, values] };
}

/** A key or value that a row should write: its place, and its elements as numbers. */
interface Written {
  readonly at: CacheVector;
  readonly elements: readonly Expected[];
}

/** What a row of each shape should write to the cache. */
function written(shape: Shape, rows: number, head: (row: number, h: number) => readonly Expected[]): Written[] {
  const { numHeads, numKvHeads, ropeDimensions: dimensions } = shape;
  return Array.from({ length: rows }, (_, row) => row).flatMap((row) =>
    Array.from({ length: numKvHeads }, (_, kvHead): Written[] => {
      const at = { slot: CACHE_SLOT[row] ?? 0, kvHead };
      const key = ropeReference(head(row, numHeads + kvHead), POSITION[row] ?? 0, { dimensions, theta: THETA });
      const value = head(row, numHeads + numKvHeads + kvHead);
      return [
        { at: { ...at, kind: 'key' }, elements: key },
        { at: { ...at, kind: 'value' }, elements: value },
      ];
    }).flat(),
  );
}

/** What the queries should hold, by word. */
function expectedQueries(shape: Shape, rows: number, head: (row: number, h: number) => readonly Expected[]): Map<number, Expected> {
  const { numHeads, ropeDimensions: dimensions } = shape;
  const queries = new Map<number, Expected>();
  for (let row = 0; row < rows; row++) {
    for (let h = 0; h < numHeads; h++) {
      const rotated = ropeReference(head(row, h), POSITION[row] ?? 0, { dimensions, theta: THETA });
      for (const [i, expected] of rotated.entries()) queries.set(queryWord({ ...shape, blockSize: BLOCK_SIZE }, row, h, i), expected);
    }
  }
  return queries;
}

/** The first vector of the cache that is wrong, or a word that was written and should not have been. */
function cacheFault(shape: Shape, dtype: KvCacheDtype, kind: 'key' | 'value', all: readonly Written[], result: Result, output: Output) {
  const layout = { ...shape, blockSize: BLOCK_SIZE };
  const touched = new Set<number>();
  for (const { at, elements } of all) {
    if (at.kind !== kind) continue;
    const words = elements.map((_, i) => elementWord(layout, dtype, at, i));
    if (dtype === 'int8') words.push(scaleWord(layout, at));
    for (const word of words) touched.add(word);
    const halves = new Uint16Array(result.bits.buffer);
    const held = {
      f32: () => words.map((word) => result.floats[word] ?? NaN),
      f16: () => words.map((word, i) => fromHalf(halves[2 * word + (i % 2)] ?? NaN)),
      int8: () => dequantised(layout, at, result),
    }[dtype]();
    const expected = { f32: () => elements, f16: () => nearestHalves(elements), int8: () => nearestSteps(elements) }[dtype]();
    const wrong = firstWrong(Float32Array.from(held), expected);
    if (wrong !== undefined) return `${kind} of slot ${at.slot}, KV head ${at.kvHead}: ${wrong}`;
  }
  const word = result.bits.findIndex((bits, i) => !touched.has(i) && bits !== output.before[i]);
  return word < 0 ? undefined : `word ${word} was written`;
}

/** The elements, and behind them the scale. */
function dequantised(layout: Shape & { blockSize: number }, at: CacheVector, { bits, floats }: Result): number[] {
  const bytes = new Int8Array(bits.buffer);
  const scale = floats[scaleWord(layout, at)] ?? NaN;
  const steps = Array.from({ length: layout.headSize }, (_, i) => bytes[elementWord(layout, 'int8', at, i) * 4 + (i % 4)] ?? NaN);
  return [...steps.map((step) => step * scale), scale];
}

/** Half a step at most from each element, but for what rounding, and dividing twice, may add; then the scale. */
function nearestSteps(elements: readonly Expected[]): Expected[] {
  const { scale } = quantiseReference(Float32Array.from(elements, ({ value }) => value));
  const error = Math.max(...elements.map((element) => element.error)) / 127 + scale * 2 ** -20;
  const half = scale / 2 + 128 * error;
  return [...elements.map((element) => ({ value: element.value, error: half + element.error })), { value: scale, error }];
}

/** A half's last place at most from each element: WGSL does not say which way halves are rounded. */
function nearestHalves(elements: readonly Expected[]): Expected[] {
  return elements.map(({ value, error }) => ({ value, error: error + Math.abs(value) * 2 ** -10 + 2 ** -24 }));
}

/** The first word that is wrong, or that was written and should not have been. */
function fault({ bits, floats }: Result, output: Output, expected: ReadonlyMap<number, Expected>): string | undefined {
  for (const [word, bit] of bits.entries()) {
    const wanted = expected.get(word);
    const wrong = wanted === undefined ? bit !== output.before[word] : firstWrong(floats, [wanted], word) !== undefined;
    if (wrong) return `word ${word}: ${floats[word]}, not ${wanted?.value ?? 'untouched'}`;
  }
  return undefined;
}

describe.each(KV_CACHE_DTYPES.flatMap((dtype) => [8, 64].map((lanes) => ({ dtype, lanes }))))('$dtype KV, $lanes lanes', ({ dtype, lanes }) => {
  test.each(SHAPES)('$numHeads heads over $numKvHeads of $headSize, $ropeDimensions rotated, $before before', async (shape) => {
    const { op, given, head, outputs, rows, inputs } = setUp(shape, dtype, lanes);
    const check = (results: readonly Result[], count: number): void => {
      expect(fault(results[0]!, outputs[0]!, expectedQueries(shape, count, head)), 'queries').toBeUndefined();
      const all = written(shape, count, head);
      expect(cacheFault(shape, dtype, 'key', all, results[1]!, outputs[1]!)).toBeUndefined();
      expect(cacheFault(shape, dtype, 'value', all, results[2]!, outputs[2]!)).toBeUndefined();
    };
    const all = await lab.run([op], { tokens: ROWS }, outputs);
    check(all, ROWS);
    // Four rows only: the others' queries and places in the cache are left alone.
    check(await lab.run([op], { tokens: 4 }, outputs), 4);
    // The last row alone: the same bits at its place.
    const last = ROWS - 1;
    lab.write(inputs.rows, rows.slice(last * 4));
    const own = Array.from({ length: shape.numHeads + 2 * shape.numKvHeads }, (_, h) => [...given(last, h)]);
    lab.write(inputs.qkv, new Float32Array(own.flat()));
    const alone = await lab.run([op], { tokens: 1 }, outputs);
    const rowWords = all[0]!.bits.length / ROWS;
    const [before, after] = [all[0]!.bits.subarray(last * rowWords), alone[0]!.bits.subarray(0, rowWords)];
    expect(before.every((word, i) => word === after[i])).toBe(true);
    for (const i of [1, 2]) {
      const kept = { ...alone[i]!, bits: alone[i]!.bits.map((word, at) => (word === outputs[i]!.before[at] ? all[i]!.bits[at]! : word)) };
      expect(firstDifference(kept, all[i]!)).toBeUndefined();
    }
  });
});

test('QK-norm: the same bits however many lanes share a head', async () => {
  const shape = { numHeads: 4, numKvHeads: 2, headSize: 80, ropeDimensions: 32, before: 'norm' } as const;
  const [first, ...others] = [4, 8, 40].map((lanes) => setUp(shape, 'f32', lanes));
  const expected = await lab.run([first!.op], { tokens: ROWS }, first!.outputs);
  for (const { op, outputs } of others) {
    const results = await lab.run([op], { tokens: ROWS }, outputs);
    for (const [i, result] of results.entries()) expect(firstDifference(result, expected[i]!)).toBeUndefined();
  }
});

describe('half floats', () => {
  test('what is too large becomes the largest, what is not a number stays none, and each half is its own element’s', async () => {
    const shape = { numHeads: 1, numKvHeads: 1, headSize: 16, ropeDimensions: 16, before: 'none' } as const;
    const value = [1, -2, 7e4, -1e30, NaN, Infinity, 65504, -65504, 0, -0, 2 ** -24, 0.5, 1024.5, 3, 4, 5];
    const { op, outputs, inputs } = setUp(shape, 'f16');
    lab.write(inputs.qkv, new Float32Array([...Array<number>(32).fill(1), ...value]));
    const [, , values] = await lab.run([op], { tokens: 1 }, outputs);
    const halves = new Uint16Array(values!.bits.buffer);
    const at = { kind: 'value', slot: CACHE_SLOT[0] ?? 0, kvHead: 0 } as const;
    const held = value.map((_, i) => fromHalf(halves[2 * elementWord({ ...shape, blockSize: BLOCK_SIZE }, 'f16', at, i) + (i % 2)] ?? NaN));
    expect(held.slice(0, 12)).toEqual([1, -2, 65504, -65504, NaN, 65504, 65504, -65504, 0, -0, expect.toSatisfy((x: number) => x === 0 || x === 2 ** -24), 0.5]);
    expect([1024, 1025]).toContain(held[12]);
    expect(held.slice(13)).toEqual([3, 4, 5]);
  });
});

describe('INT8 steps', () => {
  const shape = { numHeads: 1, numKvHeads: 1, headSize: 16, ropeDimensions: 16, before: 'none' } as const;
  const layout = { ...shape, blockSize: BLOCK_SIZE };

  /** Writes this value vector as the last row does; its elements as the cache then has them, and the scale. */
  async function cached(value: readonly number[]): Promise<{ steps: readonly number[]; scale: number }> {
    const { op, outputs, inputs } = setUp(shape, 'int8');
    lab.write(inputs.qkv, new Float32Array([...Array<number>(32).fill(1), ...value]));
    const [, , values] = await lab.run([op], { tokens: 1 }, outputs);
    const at = { kind: 'value', slot: CACHE_SLOT[0] ?? 0, kvHead: 0 } as const;
    const bytes = new Int8Array(values!.bits.buffer);
    const steps = value.map((_, i) => bytes[elementWord(layout, 'int8', at, i) * 4 + (i % 4)] ?? NaN);
    return { steps, scale: values!.floats[scaleWord(layout, at)] ?? NaN };
  }

  test('halves go to the even step', async () => {
    const value = [-127, 0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5, 126.5, 125.5, -126.5, 0, 0.49, 0.51, -1.49, 1];
    const { steps, scale } = await cached(value);
    expect(scale).toBe(1);
    expect(steps).toEqual([-127, 0, 2, 2, 4, 0, -2, -2, 126, 126, -126, 0, 0, 1, -1, 1]);
    expect(steps).toEqual([...quantiseReference(new Float32Array(value)).steps]);
  });

  test.each([0, 1e-37, 1e-42])('a vector of ±%f is one of zeros', async (tiny) => {
    const { steps, scale } = await cached(Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? tiny : -tiny)));
    expect({ steps, scale }).toEqual({ steps: Array(16).fill(0), scale: 0 });
  });

  test.each([1e-35, 1e-20, 3e38])('a vector of ±%f is 127 steps either way', async (size) => {
    const { steps, scale } = await cached(Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? size : -size)));
    expect(steps).toEqual(Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? 127 : -127)));
    expect(Math.abs(scale / (size / 127) - 1)).toBeLessThan(1e-6);
  });

  test('what is not a number stays none', async () => {
    const { scale } = await cached(Array.from({ length: 16 }, (_, i) => (i === 13 ? NaN : i)));
    expect(scale).toBeNaN();
  });
});
