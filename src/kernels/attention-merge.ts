import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder, StepShape } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { shader } from './shaders.ts';
import { ATTENTION_SPLIT } from './step-inputs.ts';

export const ATTENTION_MERGE = defineKernel({
  name: 'attention-merge',
  bindings: { partials: 'read', rows: 'read', y: 'read_write', counts: 'uniform' },
  overrides: ['NUM_HEADS', 'HEAD_SIZE', 'Y_STRIDE'],
});

/** See AttentionArgs. */
export interface AttentionMergeArgs {
  readonly numHeads: number;
  readonly headSize: number;
  readonly partials: BufferRange;
  readonly rows: BufferRange;
  readonly y: BufferRange;
  readonly yStride?: number;
  readonly counts: BufferRange;
}

/** The modules of attention-merge. */
export function mergeModules(): readonly ShaderModule[] {
  return [shader('attention-merge'), shader('common/partials')];
}

export function mergeOverrides({ numHeads, headSize, yStride = numHeads * headSize }: Pick<AttentionMergeArgs, 'numHeads' | 'headSize' | 'yStride'>) {
  return { NUM_HEADS: numHeads, HEAD_SIZE: headSize, Y_STRIDE: yStride };
}

/** Merges the splits of the rows that have several. `partialWords`: words of a step's partial results. */
export function attentionMerge(
  builder: OpBuilder,
  args: AttentionMergeArgs,
  partialWords: (step: StepShape) => number,
): Op {
  const { numHeads, headSize, partials, rows, y, counts } = args;
  const merge = builder.variant(ATTENTION_MERGE, mergeModules(), mergeOverrides(args));
  return {
    name: 'attention-merge',
    bindGroup: builder.bind(ATTENTION_MERGE, { partials, rows, y, counts }),
    pipeline: () => builder.pipeline(merge),
    grid: ({ tokens, maxContext }) =>
      maxContext > ATTENTION_SPLIT ? [Math.ceil((numHeads * headSize) / 4 / 64), tokens, 1] : [0, 1, 1],
    cost: (step) => cost({ words: partialWords(step) + step.tokens * numHeads * headSize }),
  };
}
