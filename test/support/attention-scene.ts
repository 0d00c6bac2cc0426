import type { KvCacheDtype } from '../../src/core/kv-cache-dtype.ts';
import type { AttentionShape } from '../../src/kernels/attention.ts';
import { queriesBytes } from '../../src/kernels/rope-kv-write.ts';
import { fromHalf, toHalf } from './ggml-blocks.ts';
import { firstWrong, type Result } from './kernel-lab.ts';
import { attentionReference, quantiseReference } from './kernel-references.ts';
import { cacheWords, elementWord, scaleWord } from './kv-layout.ts';
import type { Random } from './random.ts';

/** A token that attends: of which request, at which position. */
export interface Row {
  readonly request: number;
  readonly position: number;
}

/** Keys or values of one request: `[position][kv head][headSize]`. */
type Vectors = readonly (readonly Float32Array[])[];

export interface Scene {
  readonly shape: AttentionShape;
  readonly dtype: KvCacheDtype;
  readonly rows: readonly Row[];
  readonly queries: readonly (readonly Float32Array[])[]; // [row][head][headSize]
  readonly keys: readonly Vectors[];
  readonly values: readonly Vectors[];
}

export function randomScene(shape: AttentionShape, dtype: KvCacheDtype, rows: readonly Row[], random: Random): Scene {
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
export function shuffledTables({ shape, keys }: Scene, random: Random): { tables: number[][]; numBlocks: number } {
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
export function pack({ shape, keys, values, dtype }: Scene, kind: 'key' | 'value', tables: readonly number[][], numBlocks: number) {
  const { numKvHeads, headSize, blockSize } = shape;
  const words = new Float32Array(cacheWords(shape, dtype, numBlocks)).fill(kind === 'key' ? 3e4 : NaN);
  const bytes = new Int8Array(words.buffer);
  const halves = new Uint16Array(words.buffer);
  if (dtype === 'f16') halves.fill(toHalf(kind === 'key' ? 3e4 : NaN));
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
          else if (dtype === 'f16') halves[word * 2 + (i % 2)] = toHalf(vector[i] ?? NaN);
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
  if (dtype === 'f16') return vector.map((element) => fromHalf(toHalf(element)));
  const { steps, scale } = quantiseReference(vector);
  return Float64Array.from(steps, (step) => step * scale);
}

/** Queries as rope-kv-write leaves them, 4 heads interleaved; heads that a group does not have are NaN. */
export function packQueries({ shape, rows, queries }: Scene, order: readonly number[]): Float32Array<ArrayBuffer> {
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

/** The first wrong element over all rows and heads. */
export function wrong({ shape, dtype, rows, queries, keys, values }: Scene, { floats }: Result): string | undefined {
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
