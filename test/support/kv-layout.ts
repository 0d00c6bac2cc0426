import type { KvCacheDtype } from '../../src/core/kv-cache-dtype.ts';

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

/** Words of the keys, or of the values, of `numBlocks` blocks. */
export function cacheWords({ numKvHeads, headSize, blockSize }: CacheShape, dtype: KvCacheDtype, numBlocks: number): number {
  return numBlocks * numKvHeads * blockSize * (dtype === 'f32' ? headSize : headSize / 4 + 1);
}

/** The word of an element; in INT8, byte `element % 4` of it. */
export function elementWord(shape: CacheShape, dtype: KvCacheDtype, vector: CacheVector, element: number): number {
  const words = dtype === 'f32' ? shape.headSize : shape.headSize / 4;
  const word = dtype === 'f32' ? element : Math.floor(element / 4);
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
