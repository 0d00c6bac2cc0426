import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { KV_CACHE_DTYPES, type KvCacheDtype } from '../../../src/core/kv-cache-dtype.ts';
import { attention, type AttentionShape, partialsBytes } from '../../../src/kernels/attention.ts';
import { queriesBytes } from '../../../src/kernels/rope-kv-write.ts';
import { firstWrong, firstWritten, KernelLab, type Result } from '../../support/kernel-lab.ts';
import { attentionReference, quantiseReference } from '../../support/kernel-references.ts';
import { cacheWords, elementWord, scaleWord } from '../../support/kv-layout.ts';
import { createRandom, type Random } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

/** A token that attends: of which request, at which position. */
interface Row {
  readonly request: number;
  readonly position: number;
}

/** Keys or values of one request: `[position][kv head][headSize]`. */
type Vectors = readonly (readonly Float32Array[])[];

interface Scene {
  readonly shape: AttentionShape;
  readonly dtype: KvCacheDtype;
  readonly rows: readonly Row[];
  readonly queries: readonly (readonly Float32Array[])[]; // [row][head][headSize]
  readonly keys: readonly Vectors[];
  readonly values: readonly Vectors[];
}

function randomScene(shape: AttentionShape, dtype: KvCacheDtype, rows: readonly Row[], random: Random): Scene {
  const { numHeads, numKvHeads, headSize } = shape;
  const vector = (): Float32Array => new Float32Array(headSize).map(() => random.normal() * 1.5);
  const vectors = (count: number): Float32Array[] => Array.from({ length: count }, vector);
  const lengths = new Map<number, number>();
  for (const { request, position } of rows) lengths.set(request, Math.max(lengths.get(request) ?? 0, position + 1));
  const cache = (): Vectors[] =>
    Array.from({ length: Math.max(...lengths.keys()) + 1 }, (_, request) =>
      Array.from({ length: lengths.get(request) ?? 0 }, () => vectors(numKvHeads)),
    );
  return { shape, dtype, rows, queries: rows.map(() => vectors(numHeads)), keys: cache(), values: cache() };
}

/** Block tables of blocks in random order; what no request uses is the last block, which holds nothing of use. */
function shuffledTables({ shape, keys }: Scene, random: Random): { tables: number[][]; numBlocks: number } {
  const needed = keys.map((vectors) => Math.ceil(vectors.length / shape.blockSize));
  const used = needed.reduce((a, b) => a + b, 0);
  const blocks = Array.from({ length: used }, (_, i) => i);
  for (let i = used - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [blocks[i], blocks[j]] = [blocks[j] ?? 0, blocks[i] ?? 0];
  }
  const tables = needed.map((count) => {
    const own = blocks.splice(0, count);
    return [...own, ...Array<number>(shape.maxBlocks - count).fill(used)];
  });
  return { tables, numBlocks: used + 1 };
}

/**
 * The keys or values with each request's vectors in its blocks. Everywhere else values are NaN, and keys so large that
 * one looked at would outweigh all others (max() may drop a NaN).
 */
function pack({ shape, keys, values, dtype }: Scene, kind: 'key' | 'value', tables: readonly number[][], numBlocks: number) {
  const { numKvHeads, headSize, blockSize } = shape;
  const words = new Float32Array(cacheWords(shape, dtype, numBlocks)).fill(kind === 'key' ? 3e4 : NaN);
  const bytes = new Int8Array(words.buffer);
  for (const [request, vectors] of (kind === 'key' ? keys : values).entries()) {
    for (const [position, heads] of vectors.entries()) {
      const block = tables[request]?.[Math.floor(position / blockSize)] ?? NaN;
      for (let kvHead = 0; kvHead < numKvHeads; kvHead++) {
        const at = { kind, slot: block * blockSize + (position % blockSize), kvHead };
        const vector = heads[kvHead] ?? new Float32Array();
        const { steps, scale } = quantiseReference(vector);
        if (dtype === 'int8') words[scaleWord(shape, at)] = scale;
        for (let i = 0; i < headSize; i++) {
          const word = elementWord(shape, dtype, at, i);
          if (dtype === 'int8') bytes[word * 4 + (i % 4)] = steps[i] ?? NaN;
          else words[word] = vector[i] ?? NaN;
        }
      }
    }
  }
  return words;
}

/** A vector as the cache holds it. */
function held(vector: Float32Array, dtype: KvCacheDtype): Float32Array | Float64Array {
  if (dtype === 'f32') return vector;
  const { steps, scale } = quantiseReference(vector);
  return Float64Array.from(steps, (step) => step * scale);
}

/** Queries as rope-kv-write leaves them, 4 heads interleaved; heads that a group does not have are NaN. */
function packQueries({ shape, rows, queries }: Scene, order: readonly number[]): Float32Array<ArrayBuffer> {
  const { numHeads, numKvHeads, headSize } = shape;
  const group = numHeads / numKvHeads;
  const fours = Math.ceil(group / 4);
  const words = new Float32Array(queriesBytes(shape, rows.length) / 4).fill(NaN);
  for (const [place, row] of order.entries()) {
    for (let head = 0; head < numHeads; head++) {
      const [kvHead, inGroup] = [Math.floor(head / group), head % group];
      const four = (place * numKvHeads + kvHead) * fours + Math.floor(inGroup / 4);
      for (let i = 0; i < headSize; i++) {
        words[(four * headSize + i) * 4 + (inGroup % 4)] = queries[row]?.[head]?.[i] ?? NaN;
      }
    }
  }
  return words;
}

/** The scene on the GPU; run(order) computes those of its rows, in that order. */
function stage(scene: Scene, random: Random, attentionLanes: number) {
  const { shape, rows } = scene;
  const { tables, numBlocks } = shuffledTables(scene, random);
  const rowWords = shape.numHeads * shape.headSize;
  const y = lab.output(rows.length * rowWords);
  const partials = lab.output(partialsBytes(shape, rows.length) / 4);
  const all = rows.map((_, i) => i);
  const queries = lab.input(packQueries(scene, all));
  const rowBuffer = lab.input(new Uint32Array(rows.length * 4));
  const ops = attention(lab.builder, {
    ...shape,
    attentionLanes,
    kvCacheDtype: scene.dtype,
    queries,
    keys: lab.input(pack(scene, 'key', tables, numBlocks)),
    values: lab.input(pack(scene, 'value', tables, numBlocks)),
    rows: rowBuffer,
    blockTables: lab.input(new Uint32Array(tables.flat())),
    partials: partials.buffer,
    y: y.buffer,
    counts: lab.rowCount,
  });
  const run = async (order: readonly number[] = all): Promise<Result> => {
    lab.write(queries, packQueries(scene, order));
    const chosen = order.map((i) => rows[i] ?? { request: NaN, position: NaN });
    lab.write(rowBuffer, new Uint32Array(chosen.flatMap(({ request, position }) => [9999, position, 9999, request])));
    const maxContext = Math.max(...chosen.map(({ position }) => position + 1));
    const [result] = await lab.run(ops, { tokens: order.length, maxContext }, [y, partials]);
    if (result === undefined) throw new Error('no result');
    expect(firstWritten(result, order.length * rowWords)).toBeUndefined();
    return result;
  };
  return { run, rowWords };
}

/** The first wrong element over all rows and heads. */
function wrong({ shape, dtype, rows, queries, keys, values }: Scene, { floats }: Result): string | undefined {
  const { numHeads, numKvHeads, headSize } = shape;
  for (const [row, { request, position }] of rows.entries()) {
    for (let head = 0; head < numHeads; head++) {
      const kvHead = Math.floor(head / (numHeads / numKvHeads));
      const upTo = (vectors: readonly Vectors[]) =>
        (vectors[request] ?? []).slice(0, position + 1).map((heads) => held(heads[kvHead] ?? new Float32Array(), dtype));
      const query = queries[row]?.[head] ?? new Float32Array();
      const expected = attentionReference(query, upTo(keys), upTo(values));
      const fault = firstWrong(floats, expected, (row * numHeads + head) * headSize);
      if (fault !== undefined) return `row ${row}, head ${head}: ${fault}`;
    }
  }
  return undefined;
}

/** Requests that prefill (several rows of one) and decode, at and around the edges of blocks and of splits of 128. */
const RAGGED: readonly Row[] = [
  { request: 1, position: 299 },
  ...[0, 1, 2, 3].map((position) => ({ request: 0, position })),
  ...[126, 127, 128].map((position) => ({ request: 2, position })),
  { request: 3, position: 15 },
  { request: 4, position: 16 },
  { request: 5, position: 0 },
];

/** Heads, KV heads, head size, tokens a block, lanes; the first is SmolLM2-135M's on a software adapter, then on a GPU. */
const SHAPES: readonly (readonly [number, number, number, number, number])[] = [
  [9, 3, 64, 16, 16],
  [9, 3, 64, 16, 64],
  [2, 2, 16, 16, 16],
  [4, 2, 32, 16, 16],
  [4, 1, 80, 16, 16],
  [5, 1, 32, 32, 64],
  [8, 1, 128, 16, 64],
  [3, 1, 256, 8, 64],
  [8, 8, 80, 16, 64],
];

describe.each(KV_CACHE_DTYPES)('%s KV', (dtype) => {
  test.each(SHAPES)(
    '%i heads over %i of %i, blocks of %i, %i lanes: right, and a row has the same bits in every batch',
    async (numHeads, numKvHeads, headSize, blockSize, lanes) => {
      const shape = { numHeads, numKvHeads, headSize, blockSize, maxBlocks: Math.ceil(400 / blockSize) };
      const random = createRandom(numHeads * headSize + lanes);
      const scene = randomScene(shape, dtype, RAGGED, random);
      const { run, rowWords } = stage(scene, random, lanes);
      const all = await run();
      expect(wrong(scene, all)).toBeUndefined();
      const rowOf = ({ bits }: Result, row: number): string => bits.subarray(row * rowWords, (row + 1) * rowWords).join();
      const orders = [RAGGED.map((_, i) => RAGGED.length - 1 - i), [4, 0, 7], ...RAGGED.map((_, i) => [i])];
      for (const order of orders) {
        const result = await run(order);
        for (const [place, row] of order.entries()) {
          expect(rowOf(result, place) === rowOf(all, row), `row ${row} in a batch of ${order.length}`).toBe(true);
        }
      }
    },
  );

  test('a long context: 2048 tokens in 16 splits', async () => {
    const shape = { numHeads: 9, numKvHeads: 3, headSize: 64, blockSize: 16, maxBlocks: 128 };
    const random = createRandom(5);
    const scene = randomScene(shape, dtype, [{ request: 0, position: 2047 }, { request: 0, position: 1024 }], random);
    expect(wrong(scene, await stage(scene, random, 16).run())).toBeUndefined();
  });

  test('scores far apart, within a split and between splits, neither overflow nor vanish', async () => {
    const shape = { numHeads: 2, numKvHeads: 1, headSize: 32, blockSize: 16, maxBlocks: 32 };
    const random = createRandom(6);
    const rows = [{ request: 0, position: 399 }, { request: 0, position: 150 }];
    const scene = randomScene(shape, dtype, rows, random);
    // Scores of about ±300: exp of one overflows f32, and of the other vanishes, unless the largest is taken off first.
    for (const heads of scene.queries) for (const query of heads) query.forEach((v, i) => void (query[i] = v * 60));
    const result = await stage(scene, random, 16).run();
    expect(wrong(scene, result)).toBeUndefined();
    expect(result.floats.every(Number.isFinite)).toBe(true);
  });
});
