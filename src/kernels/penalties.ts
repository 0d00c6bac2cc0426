import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { logitsStride } from './sample.ts';
import { shader } from './shaders.ts';

export const PENALTIES = defineKernel({
  name: 'penalties',
  bindings: { samples: 'read', tokenCounts: 'read', logits: 'read_write' },
  overrides: ['VOCAB', 'LOGITS_STRIDE'],
});

/** The top bit of a token count: the token is in the prompt. The other bits: how often it is in the output. */
export const IN_PROMPT = 0x80000000;

export interface PenaltiesArgs {
  readonly vocabSize: number;
  readonly samples: BufferRange;
  /** `[slots][vocabSize]` u32: see {@link IN_PROMPT}. The rows of slots without penalties are undefined. */
  readonly tokenCounts: BufferRange;
  /** `[samples][logitsStride(vocabSize)]` f32; changed in place. */
  readonly logits: BufferRange;
}

export function penaltiesModules(): readonly ShaderModule[] {
  return [shader('penalties'), shader('common/flags')];
}

/** Penalises every sample's logits by how often its slot's tokens have occurred. */
export function penalties(builder: OpBuilder, { vocabSize, samples, tokenCounts, logits }: PenaltiesArgs): Op {
  const overrides = { VOCAB: vocabSize, LOGITS_STRIDE: logitsStride(vocabSize) };
  const key = builder.variant(PENALTIES, penaltiesModules(), overrides);
  return {
    name: 'penalties',
    bindGroup: builder.bind(PENALTIES, { samples, tokenCounts, logits }),
    pipeline: () => builder.pipeline(key),
    grid: (step) => [step.penalised === 0 ? 0 : Math.ceil(vocabSize / 64), step.samples, 1],
    cost: (step) => cost({ words: 3 * step.penalised * vocabSize }),
  };
}
