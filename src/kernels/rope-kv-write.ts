import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { shader } from './shaders.ts';

export const ROPE_KV_WRITE = defineKernel({
  name: 'rope-kv-write',
  bindings: {
    qkv: 'read',
    rows: 'read',
    rotation: 'read',
    queries: 'read_write',
    keys: 'read_write',
    values: 'read_write',
    counts: 'uniform',
  },
  overrides: ['NUM_HEADS', 'NUM_KV_HEADS', 'HEAD_SIZE', 'ROPE_DIMENSIONS', 'INTERLEAVED', 'BLOCK_SIZE', 'LANES'],
});

export interface RopeKvWriteArgs {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly ropeDimensions: number;
  readonly interleaved: boolean;
  readonly blockSize: number;
  readonly kvCacheDtype: KvCacheDtype;
  /** Lanes of a workgroup, at most; no part of the numerics. */
  readonly ropeLanes: number;
  /** `[rows][numHeads + 2 * numKvHeads][headSize]` f32. */
  readonly qkv: BufferRange;
  readonly rows: BufferRange;
  /** `[positions][ropeDimensions / 2]` of (cosine, sine); see {@link rotationTable}. */
  readonly rotation: BufferRange;
  /** {@link queriesBytes} bytes: queries by groups of 4 heads, as attention reads them. */
  readonly queries: BufferRange;
  /** {@link layerBlockBytes} bytes a block, and as many of values. */
  readonly keys: BufferRange;
  readonly values: BufferRange;
  readonly counts: BufferRange;
}

/** Bytes of the rotated queries of `rows` rows; a KV head's last group of 4 query heads may be partly unused. */
export function queriesBytes(shape: Pick<RopeKvWriteArgs, 'numHeads' | 'numKvHeads' | 'headSize'>, rows: number): number {
  return rows * shape.numKvHeads * Math.ceil(shape.numHeads / shape.numKvHeads / 4) * shape.headSize * 16;
}

/**
 * Bytes of one block's keys, and of its values, in one layer: elements in f32 or f16, or 8-bit ones and an f32 scale a
 * vector; the layouts are in shaders/kv-write/.
 */
export function layerBlockBytes(
  { numKvHeads, headSize, blockSize }: Pick<RopeKvWriteArgs, 'numKvHeads' | 'headSize' | 'blockSize'>,
  dtype: KvCacheDtype,
): number {
  const vectorBytes = { f32: 4 * headSize, f16: 2 * headSize, int8: headSize + 4 }[dtype];
  return numKvHeads * blockSize * vectorBytes;
}

/** Where queries, keys and values go, and as what. */
export function kvWriteModules(dtype: KvCacheDtype): readonly ShaderModule[] {
  return [shader('common/heads'), shader(`kv-write/${dtype}`)];
}

/** Rotates queries and keys; queries go to where attention reads them, keys and values to the cache. */
export function ropeKvWrite(builder: OpBuilder, args: RopeKvWriteArgs): Op {
  const { numHeads, numKvHeads, headSize, ropeDimensions, interleaved, blockSize, kvCacheDtype, ropeLanes, ...buffers } = args;
  const modules = [shader('rope-kv-write'), ...kvWriteModules(kvCacheDtype)];
  const key = builder.variant(ROPE_KV_WRITE, modules, {
    NUM_HEADS: numHeads,
    NUM_KV_HEADS: numKvHeads,
    HEAD_SIZE: headSize,
    ROPE_DIMENSIONS: ropeDimensions,
    INTERLEAVED: interleaved,
    BLOCK_SIZE: blockSize,
    LANES: Math.min(ropeLanes, headSize / 2),
  });
  return {
    name: 'rope-kv-write',
    bindGroup: builder.bind(ROPE_KV_WRITE, buffers),
    pipeline: () => builder.pipeline(key),
    grid: (step) => [numHeads + 2 * numKvHeads, step.tokens, 1],
    cost: ({ tokens }) => {
      const rotated = tokens * (numHeads + numKvHeads) * ropeDimensions;
      const words = tokens * ((2 * numHeads + 2 * numKvHeads) * headSize + ropeDimensions);
      return cost({ words, bytes: (2 * tokens * layerBlockBytes(args, kvCacheDtype)) / blockSize, macs: 2 * rotated });
    },
  };
}

/**
 * Cosines and sines of every position's angles, computed in f64: WGSL's own sin and cos are only good to 2^-11.
 *
 * @returns `[positions][dimensions / 2]` of (cosine, sine), angle = position * theta^(-2i / dimensions)
 */
export function rotationTable(positions: number, dimensions: number, theta: number): Float32Array<ArrayBuffer> {
  const pairs = dimensions / 2;
  const table = new Float32Array(positions * dimensions);
  for (let i = 0; i < pairs; i++) {
    const frequency = theta ** ((-2 * i) / dimensions);
    for (let position = 0; position < positions; position++) {
      table[2 * (position * pairs + i)] = Math.cos(position * frequency);
      table[2 * (position * pairs + i) + 1] = Math.sin(position * frequency);
    }
  }
  return table;
}
