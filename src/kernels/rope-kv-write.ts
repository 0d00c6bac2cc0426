import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import type { Task } from '../core/cooperative-task.ts';
import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { shader } from './shaders.ts';

const BINDINGS = {
  qkv: 'read',
  rows: 'read',
  rotation: 'read',
  queries: 'read_write',
  keys: 'read_write',
  values: 'read_write',
  counts: 'uniform',
} as const;
const OVERRIDES = ['NUM_HEADS', 'NUM_KV_HEADS', 'HEAD_SIZE', 'ROPE_DIMENSIONS', 'BLOCK_SIZE', 'LANES'] as const;

export const ROPE_KV_WRITE = defineKernel({ name: 'rope-kv-write', bindings: BINDINGS, overrides: OVERRIDES });

/** With biases. */
export const BIAS_ROPE_KV_WRITE = defineKernel({
  name: 'bias-rope-kv-write',
  bindings: { ...BINDINGS, bias: 'read' },
  overrides: OVERRIDES,
});

/** With QK-norm. */
export const NORM_ROPE_KV_WRITE = defineKernel({
  name: 'norm-rope-kv-write',
  bindings: { ...BINDINGS, gain: 'read' },
  overrides: [...OVERRIDES, 'EPSILON'],
});

export interface RopeKvWriteArgs {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly ropeDimensions: number;
  readonly blockSize: number;
  readonly kvCacheDtype: KvCacheDtype;
  /** The most lanes of a workgroup; does not change the results. */
  readonly ropeLanes: number;
  /** `[rows][numHeads + 2 * numKvHeads][headSize]` f32. */
  readonly qkv: BufferRange;
  readonly rows: BufferRange;
  /** `[positions][ropeDimensions / 2]` of (cosine, sine); see {@link rotationTable}. */
  readonly rotation: BufferRange;
  /** {@link queriesBytes} bytes: queries by groups of 4 heads, as attention reads them. */
  readonly queries: BufferRange;
  /** {@link layerBlockBytes} bytes a block; values have the same size. */
  readonly keys: BufferRange;
  readonly values: BufferRange;
  readonly counts: BufferRange;
  /** The step before the rotation: biases of [queries, keys, values], or each head's RMSNorm. @default none */
  readonly before?: { readonly bias: BufferRange } | QkNorm | undefined;
}

/** RMSNorm of each head of queries and keys. */
export interface QkNorm {
  /** `[2][headSize]` f32, of queries and of keys. */
  readonly gain: BufferRange;
  readonly epsilon: number;
}

/** Bytes of the rotated queries of `rows` rows; a KV head's last group of 4 query heads may be partly unused. */
export function queriesBytes(shape: Pick<RopeKvWriteArgs, 'numHeads' | 'numKvHeads' | 'headSize'>, rows: number): number {
  return rows * shape.numKvHeads * Math.ceil(shape.numHeads / shape.numKvHeads / 4) * shape.headSize * 16;
}

/**
 * Bytes of one block's keys, and of its values, in one layer: elements in f32 or f16, or in 8 bits with an f32 scale
 * for each vector. The layouts are in shaders/kv-write/.
 */
export function layerBlockBytes(
  { numKvHeads, headSize, blockSize }: Pick<RopeKvWriteArgs, 'numKvHeads' | 'headSize' | 'blockSize'>,
  dtype: KvCacheDtype,
): number {
  const vectorBytes = { f32: 4 * headSize, f16: 2 * headSize, int8: headSize + 4 }[dtype];
  return numKvHeads * blockSize * vectorBytes;
}

/** The modules that write queries, keys and values, in the cache's number type. */
export function kvWriteModules(dtype: KvCacheDtype): readonly ShaderModule[] {
  return [shader('common/heads'), shader('common/turned'), shader(`kv-write/${dtype}`)];
}

/**
 * Rotates queries and keys in neighbouring pairs. Writes queries to where attention reads them, keys and values to the
 * cache.
 */
export function ropeKvWrite(builder: OpBuilder, args: RopeKvWriteArgs): Op {
  const { numHeads, numKvHeads, headSize, ropeDimensions, kvCacheDtype } = args;
  return {
    name: 'rope-kv-write',
    ...boundWith(builder, args),
    grid: (step) => [numHeads + 2 * numKvHeads, step.tokens, 1],
    cost: ({ tokens }) => {
      const rotated = tokens * (numHeads + numKvHeads) * ropeDimensions;
      const words = tokens * ((2 * numHeads + 2 * numKvHeads) * headSize + ropeDimensions);
      return cost({ words, bytes: (2 * tokens * layerBlockBytes(args, kvCacheDtype)) / args.blockSize, macs: 2 * rotated });
    },
  };
}

/** The kernel with the step before the rotation, and its buffers. */
function boundWith(builder: OpBuilder, args: RopeKvWriteArgs): Pick<Op, 'bindGroup' | 'pipeline'> {
  const { qkv, rows, rotation, queries, keys, values, counts, before } = args;
  const buffers = { qkv, rows, rotation, queries, keys, values, counts };
  const overrides = {
    NUM_HEADS: args.numHeads,
    NUM_KV_HEADS: args.numKvHeads,
    HEAD_SIZE: args.headSize,
    ROPE_DIMENSIONS: args.ropeDimensions,
    BLOCK_SIZE: args.blockSize,
    LANES: Math.min(args.ropeLanes, args.headSize / 2),
  };
  if (before === undefined) {
    const key = builder.variant(ROPE_KV_WRITE, ropeModules('none', args.kvCacheDtype), overrides);
    return { bindGroup: builder.bind(ROPE_KV_WRITE, buffers), pipeline: () => builder.pipeline(key) };
  }
  if ('bias' in before) {
    const key = builder.variant(BIAS_ROPE_KV_WRITE, ropeModules('bias', args.kvCacheDtype), overrides);
    const bindGroup = builder.bind(BIAS_ROPE_KV_WRITE, { ...buffers, bias: before.bias });
    return { bindGroup, pipeline: () => builder.pipeline(key) };
  }
  const { gain, epsilon } = before;
  const modules = ropeModules('norm', args.kvCacheDtype);
  const key = builder.variant(NORM_ROPE_KV_WRITE, modules, { ...overrides, EPSILON: epsilon });
  return { bindGroup: builder.bind(NORM_ROPE_KV_WRITE, { ...buffers, gain }), pipeline: () => builder.pipeline(key) };
}

/** The modules of the kernel. */
export function ropeModules(before: 'none' | 'bias' | 'norm', dtype: KvCacheDtype): readonly ShaderModule[] {
  return [shader('rope-kv-write'), shader(`before-rope/${before}`), ...kvWriteModules(dtype)];
}

/** A file's RoPE scaling: Llama 3's factors divide each pair's angle, linear scaling all of them. */
export interface RopeScaling {
  /** @default 1 */
  readonly factor?: number;
  /** `[dimensions / 2]`. @default 1 each */
  readonly factors?: ArrayLike<number> | undefined;
}

/** Angles computed between two yields: well under a millisecond. */
const ANGLES_AT_ONCE = 4096;

/**
 * Cosines and sines of every position's angles, computed in f64, because WGSL's own sin and cos are only accurate to
 * 2^-11. A long context has millions of angles, so this is a task that yields.
 *
 * @returns `[positions][dimensions / 2]` of (cosine, sine), angle = position * theta^(-2i / dimensions), scaled
 */
export function* rotationTable(
  positions: number,
  dimensions: number,
  theta: number,
  { factor = 1, factors }: RopeScaling = {},
): Task<Float32Array<ArrayBuffer>> {
  const pairs = dimensions / 2;
  const table = new Float32Array(positions * dimensions);
  for (let i = 0; i < pairs; i++) {
    const frequency = theta ** ((-2 * i) / dimensions) / factor / (factors?.[i] ?? 1);
    for (let from = 0; from < positions; from += ANGLES_AT_ONCE) {
      const to = Math.min(positions, from + ANGLES_AT_ONCE);
      for (let position = from; position < to; position++) {
        table[2 * (position * pairs + i)] = Math.cos(position * frequency);
        table[2 * (position * pairs + i) + 1] = Math.sin(position * frequency);
      }
      yield;
    }
  }
  return table;
}
