import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { MATMUL_BINDINGS, MATMUL_OVERRIDES, type MatmulArgs, matmulWith, NORM_NUMBERS, NORM_OVERRIDES, type NormArgs, normOverrides } from './matmul.ts';
import { shader } from './shaders.ts';

export const MATMUL_SILU_MUL = defineKernel({
  name: 'matmul-silu-mul',
  bindings: { ...MATMUL_BINDINGS, squares: 'read', y: 'read_write' },
  overrides: [...MATMUL_OVERRIDES, ...NORM_OVERRIDES],
});

export interface MatmulSiluMulArgs extends MatmulArgs, NormArgs {
  /** `[tokens][matrix rows / 2]` f32. */
  readonly y: BufferRange;
}

/** y = silu(gate) * up of normalised x. The matrix is all gates, then all ups, each a whole number of tiles. */
export function matmulSiluMul(builder: OpBuilder, args: MatmulSiluMulArgs): Op {
  return matmulWith(builder, args, {
    spec: MATMUL_SILU_MUL,
    modules: [shader('epilogue/silu-mul'), shader('common/silu')],
    normalised: true,
    paired: true,
    wordsPerOutput: 0.5,
    buffers: { squares: args.squares, y: args.y },
    overrides: normOverrides(args),
    checkScene: (tokens) => ({ numbers: NORM_NUMBERS, outputs: { y: tokens * args.matrix.rows * 2 } }),
  });
}
