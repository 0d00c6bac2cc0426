import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import { constants } from '../gpu/link.ts';
import { type Op, type OpBuilder, onlyWhere, type StepShape } from '../gpu/op.ts';
import { ATTENTION_SPLIT, type AttentionShape, maxSplits } from './attention.ts';
import { MATMUL_BINDINGS, MATMUL_OVERRIDES, type MatmulArgs, matmulWith } from './matmul.ts';
import { shader } from './shaders.ts';
import { ROW_BYTES } from './step-inputs.ts';

export const MATMUL_RESIDUAL = defineKernel({
  name: 'matmul-residual',
  bindings: { ...MATMUL_BINDINGS, hidden: 'read_write', gain: 'read', weighted: 'read_write', squares: 'read_write' },
  overrides: [...MATMUL_OVERRIDES, 'SQUARES'],
});

export const MATMUL_MERGED_RESIDUAL = defineKernel({
  name: 'matmul-merged-residual',
  bindings: { ...MATMUL_RESIDUAL.bindings, rows: 'uniform' },
  overrides: [...MATMUL_RESIDUAL.overrides, 'NUM_HEADS', 'HEAD_SIZE', 'MAX_SPLITS'],
});

export interface MatmulResidualArgs extends MatmulArgs {
  /** The residual stream, `[rows][matrix rows]` f32. */
  readonly hidden: BufferRange;
  /** Of the norm that comes next, `[matrix rows]` f32. */
  readonly gain: BufferRange;
  /** hidden * gain, `[rows][matrix rows]` f32. */
  readonly weighted: BufferRange;
  /** squaresBytes() bytes. */
  readonly squares: BufferRange;
}

/** hidden += x · Wᵀ, and the RMSNorm that comes next begun. */
export function matmulResidual(builder: OpBuilder, args: MatmulResidualArgs): Op {
  const { hidden, gain, weighted, squares, matrix } = args;
  return matmulWith(builder, args, {
    spec: MATMUL_RESIDUAL,
    modules: [shader('epilogue/residual')],
    normalised: false,
    paired: false,
    sampled: false,
    wordsPerOutput: 3,
    buffers: { hidden, gain, weighted, squares },
    overrides: { SQUARES: Math.ceil(matrix.rows / 128) },
  });
}

export interface MatmulMergedResidualArgs extends MatmulResidualArgs, AttentionShape {
  /** ROW_BYTES a row; no more than 64 KiB. */
  readonly rows: BufferRange;
  /** See {@link mergesAsItReads}. */
  readonly maxMergedSplits: number;
}

/**
 * Splits that may be merged as they are read. Few: every workgroup merges all of them again, so that beyond a dispatch of
 * its own costs less.
 */
const MERGED_SPLITS = [1, 2, 4];

/** Whether a step's splits are merged as they are read: those of one row, if they are few. */
export function mergesAsItReads(
  { headSize, maxMergedSplits }: Pick<MatmulMergedResidualArgs, 'headSize' | 'maxMergedSplits'>,
  { tokens, maxContext }: StepShape,
): boolean {
  return headSize % 32 === 0 && tokens === 1 && maxContext <= ATTENTION_SPLIT * maxMergedSplits;
}

/** hidden += x · Wᵀ, where x is attention's partial results, merged as they are read. Of these, one runs, if any. */
export function matmulMergedResidual(builder: OpBuilder, args: MatmulMergedResidualArgs): readonly Op[] {
  const { hidden, gain, weighted, squares, rows, matrix, numHeads, headSize, tilings, maxMergedSplits } = args;
  if (headSize % 32 !== 0) return [];
  return MERGED_SPLITS.filter((merged) => merged <= maxMergedSplits).map((merged, i) => {
    const op = matmulWith(builder, { ...args, tilings: tilings.slice(0, 1) }, {
      spec: MATMUL_MERGED_RESIDUAL,
      modules: mergedResidualModules(rows),
      normalised: false,
      paired: false,
      sampled: false,
      merged,
      buffers: { hidden, gain, weighted, squares, rows },
      overrides: {
        SQUARES: Math.ceil(matrix.rows / 128),
        NUM_HEADS: numHeads,
        HEAD_SIZE: headSize,
        MAX_SPLITS: maxSplits(args),
      },
    });
    const fewer = ATTENTION_SPLIT * (MERGED_SPLITS[i - 1] ?? 0);
    const isThis = (step: StepShape): boolean =>
      mergesAsItReads(args, step) && step.maxContext > fewer && step.maxContext <= ATTENTION_SPLIT * merged;
    return onlyWhere(op, isThis);
  });
}

/** The epilogue's and the prologue's files. */
export function mergedResidualModules(rows: { readonly size: number }) {
  return [shader('epilogue/residual'), shader('prologue/merge'), constants('rows', { ROWS: rows.size / ROW_BYTES })];
}
