import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import {
  MATMUL_BINDINGS, MATMUL_OVERRIDES, type MatmulArgs, matmulWith, NORM_NUMBERS, NORM_OVERRIDES, type NormArgs, normOverrides,
} from './matmul.ts';
import { shader } from './shaders.ts';

export const MATMUL = defineKernel({
  name: 'matmul',
  bindings: { ...MATMUL_BINDINGS, y: 'read_write' },
  overrides: [...MATMUL_OVERRIDES, 'OUTPUT_OFFSET', 'OUTPUT_STRIDE'],
});

export const MATMUL_NORMALISED = defineKernel({
  name: 'matmul-normalised',
  bindings: { ...MATMUL_BINDINGS, squares: 'read', y: 'read_write' },
  overrides: [...MATMUL_OVERRIDES, ...NORM_OVERRIDES, 'OUTPUT_OFFSET', 'OUTPUT_STRIDE'],
});

export interface StoreArgs extends MatmulArgs {
  /** `[tokens][outputStride]` f32. */
  readonly y: BufferRange;
  /** The start of the outputs in a row of y; a multiple of 4. @default 0 */
  readonly outputOffset?: number;
  /** @default the matrix's rows */
  readonly outputStride?: number;
}

/** y = x · Wᵀ. */
export function matmul(builder: OpBuilder, args: StoreArgs): Op {
  const modules = [shader('epilogue/store')];
  const checkScene = (tokens: number) => ({ outputs: { y: storedBytes(args, tokens) } });
  return matmulWith(builder, args, { spec: MATMUL, modules, buffers: { y: args.y }, overrides: placeOf(args), checkScene });
}

/** y = x · Wᵀ of normalised x. */
export function matmulNormalised(builder: OpBuilder, args: StoreArgs & NormArgs): Op {
  const overrides = { ...normOverrides(args), ...placeOf(args) };
  const modules = [shader('epilogue/store')];
  const buffers = { squares: args.squares, y: args.y };
  const checkScene = (tokens: number) => ({ numbers: NORM_NUMBERS, outputs: { y: storedBytes(args, tokens) } });
  return matmulWith(builder, args, { spec: MATMUL_NORMALISED, modules, normalised: true, buffers, overrides, checkScene });
}

function storedBytes({ matrix, outputStride = matrix.rows }: StoreArgs, tokens: number): number {
  return tokens * outputStride * 4;
}

function placeOf({ matrix, outputOffset = 0, outputStride = matrix.rows }: StoreArgs) {
  return { OUTPUT_OFFSET: outputOffset, OUTPUT_STRIDE: outputStride };
}
