import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import { constants } from '../gpu/link.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { CHECK_BLOCKS, checkRows } from './check-scenes.ts';
import { MATMUL_BINDINGS, MATMUL_OVERRIDES, type MatmulArgs, matmulWith, NORM_NUMBERS, NORM_OVERRIDES, type NormArgs, normOverrides } from './matmul.ts';
import { kvWriteModules, layerBlockBytes, queriesBytes } from './rope-kv-write.ts';
import { ROW_BYTES } from './step-inputs.ts';
import { shader } from './shaders.ts';

const SHAPE_OVERRIDES = ['NUM_HEADS', 'NUM_KV_HEADS', 'HEAD_SIZE', 'ROPE_DIMENSIONS', 'BLOCK_SIZE', 'OUTPUT_OFFSET'] as const;

const BINDINGS = {
  ...MATMUL_BINDINGS,
  keys: 'read_write',
  values: 'read_write',
  squares: 'read',
  rows: 'uniform',
  rotation: 'read',
  queries: 'read_write',
} as const;
const OVERRIDES = [...MATMUL_OVERRIDES, ...NORM_OVERRIDES, ...SHAPE_OVERRIDES] as const;

export const MATMUL_ROPE_KV_WRITE = defineKernel({ name: 'matmul-rope-kv-write', bindings: BINDINGS, overrides: OVERRIDES });

/** With biases. */
export const MATMUL_BIAS_ROPE_KV_WRITE = defineKernel({
  name: 'matmul-bias-rope-kv-write',
  bindings: { ...BINDINGS, bias: 'uniform' },
  overrides: OVERRIDES,
});

/** Caches that store a lane's 4 elements independently. INT8 needs the maximum of a whole vector first. */
export type FusedKvCacheDtype = Exclude<KvCacheDtype, 'int8'>;

export interface MatmulRopeKvWriteArgs extends MatmulArgs, NormArgs {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly ropeDimensions: number;
  readonly blockSize: number;
  /** The start of the matrix's outputs in [queries, keys, values]. */
  readonly outputOffset: number;
  /** ROW_BYTES for each row; 64 KiB at most. */
  readonly rows: BufferRange;
  /** The same as ropeKvWrite's. */
  readonly rotation: BufferRange;
  readonly queries: BufferRange;
  /** Of [queries, keys, values], f32; 64 KiB at most. @default none */
  readonly bias?: BufferRange | undefined;
  readonly kvCacheDtype: FusedKvCacheDtype;
  readonly keys: BufferRange;
  readonly values: BufferRange;
}

/**
 * Queries, keys and values of normalised x, rotated in neighbouring pairs and written to where attention reads them.
 */
export function matmulRopeKvWrite(builder: OpBuilder, args: MatmulRopeKvWriteArgs): Op {
  const { keys, values, squares, rows, rotation, queries, bias } = args;
  const buffers = { keys, values, squares, rows, rotation, queries };
  const shared = {
    modules: ropeKvWriteModules(rows, args.kvCacheDtype, bias),
    normalised: true,
    overrides: {
      ...normOverrides(args),
      NUM_HEADS: args.numHeads,
      NUM_KV_HEADS: args.numKvHeads,
      HEAD_SIZE: args.headSize,
      ROPE_DIMENSIONS: args.ropeDimensions,
      BLOCK_SIZE: args.blockSize,
      OUTPUT_OFFSET: args.outputOffset,
    },
    maxTokens: rows.size / ROW_BYTES,
    checkScene: (tokens: number) => {
      const cacheBytes = CHECK_BLOCKS * layerBlockBytes(args, args.kvCacheDtype);
      return {
        words: { rows: checkRows(tokens, args.blockSize, rotation.size / (4 * args.ropeDimensions)) },
        numbers: NORM_NUMBERS,
        outputs: { queries: queriesBytes(args, tokens), keys: cacheBytes, values: cacheBytes },
      };
    },
  };
  return bias === undefined
    ? matmulWith(builder, args, { ...shared, spec: MATMUL_ROPE_KV_WRITE, buffers })
    : matmulWith(builder, args, { ...shared, spec: MATMUL_BIAS_ROPE_KV_WRITE, buffers: { ...buffers, bias } });
}

/** The epilogue's files. */
export function ropeKvWriteModules(
  rows: { readonly size: number },
  dtype: FusedKvCacheDtype,
  bias: { readonly size: number } | undefined,
) {
  const sizes = constants('rows', { ROWS: rows.size / ROW_BYTES, BIASES: (bias?.size ?? 0) / 16 });
  const values = { BIASED: bias !== undefined };
  return [{ ...shader('epilogue/rope-kv-write'), values }, ...kvWriteModules(dtype), sizes];
}
