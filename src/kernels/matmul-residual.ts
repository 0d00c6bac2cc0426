import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { MATMUL_BINDINGS, MATMUL_OVERRIDES, type MatmulArgs, matmulWith, squaresBytes, squaresVectors } from './matmul.ts';
import { shader } from './shaders.ts';

export const MATMUL_RESIDUAL = defineKernel({
  name: 'matmul-residual',
  bindings: { ...MATMUL_BINDINGS, hidden: 'read_write', gain: 'read', weighted: 'read_write', squares: 'read_write' },
  overrides: [...MATMUL_OVERRIDES, 'SQUARES'],
});

export interface MatmulResidualArgs extends MatmulArgs {
  /** The residual stream, `[rows][matrix rows]` f32. */
  readonly hidden: BufferRange;
  /** The next norm's gain, `[matrix rows]` f32. */
  readonly gain: BufferRange;
  /** hidden * gain, `[rows][matrix rows]` f32. */
  readonly weighted: BufferRange;
  /** squaresBytes() bytes. */
  readonly squares: BufferRange;
}

/** hidden += x · Wᵀ, and the next RMSNorm's gain and sums of squares. */
export function matmulResidual(builder: OpBuilder, args: MatmulResidualArgs): Op {
  const { hidden, gain, weighted, squares, matrix: { rows } } = args;
  return matmulWith(builder, args, {
    spec: MATMUL_RESIDUAL,
    modules: residualModules(),
    overrides: { SQUARES: squaresVectors(rows) },
    wordsPerOutput: 3,
    buffers: { hidden, gain, weighted, squares },
    checkScene: (tokens) => {
      const bytes = tokens * rows * 4;
      return { outputs: { hidden: bytes, weighted: bytes, squares: squaresBytes(rows, tokens) } };
    },
  });
}

/** The epilogue's file. */
export function residualModules(): readonly ShaderModule[] {
  return [shader('epilogue/residual')];
}
