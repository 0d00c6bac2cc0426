import type { KvCacheDtype } from '../../core/kv-cache-dtype.ts';

/** The shape of one layer's part of a paged KV cache. */
export interface CacheShape {
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly blockSize: number;
}

/** A key or value in the cache: of a token's slot (block * blockSize + place) and a KV head. */
export interface CacheVector {
  readonly kind: 'key' | 'value';
  readonly slot: number;
  readonly kvHead: number;
}

const ELEMENTS_A_WORD: Readonly<Record<KvCacheDtype, number>> = { f32: 1, f16: 2, int8: 4 };

/** Words of the keys, or of the values, of `numBlocks` blocks. */
export function cacheWords({ numKvHeads, headSize, blockSize }: CacheShape, dtype: KvCacheDtype, numBlocks: number): number {
  const scales = dtype === 'int8' ? 1 : 0;
  return numBlocks * numKvHeads * blockSize * (headSize / ELEMENTS_A_WORD[dtype] + scales);
}

/** The word of an element; in INT8 byte `element % 4` of it, in f16 half `element % 2`. */
export function elementWord(shape: CacheShape, dtype: KvCacheDtype, vector: CacheVector, element: number): number {
  const words = shape.headSize / ELEMENTS_A_WORD[dtype];
  const word = Math.floor(element / ELEMENTS_A_WORD[dtype]);
  const { first, place } = recordOf(shape, dtype, vector);
  return first + (vector.kind === 'key' ? word * shape.blockSize + place : place * words + word);
}

/** The word of an INT8 vector's scale. */
export function scaleWord(shape: CacheShape, vector: CacheVector): number {
  const { first, place } = recordOf(shape, 'int8', vector);
  return first + shape.blockSize * (shape.headSize / 4) + place;
}

function recordOf(shape: CacheShape, dtype: KvCacheDtype, { slot, kvHead }: CacheVector) {
  const block = Math.floor(slot / shape.blockSize);
  const first = (block * shape.numKvHeads + kvHead) * cacheWords({ ...shape, numKvHeads: 1 }, dtype, 1);
  return { first, place: slot % shape.blockSize };
}

/** Of queries, keys and values. */
export interface QkvShape extends CacheShape {
  readonly numHeads: number;
}

/** Where a query's element stands: in groups of 4 heads, as attention reads them. */
export function queryWord({ numHeads, numKvHeads, headSize }: QkvShape, row: number, head: number, element: number): number {
  const group = numHeads / numKvHeads;
  const fours = Math.ceil(group / 4);
  const [kvHead, inGroup] = [Math.floor(head / group), head % group];
  return (((row * numKvHeads + kvHead) * fours + Math.floor(inGroup / 4)) * headSize + element) * 4 + (inGroup % 4);
}
