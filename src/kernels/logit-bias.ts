import { MAX_LOGIT_BIASES } from '../core/request.ts';
import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { logitsStride } from './sample.ts';
import { shader } from './shaders.ts';

export const LOGIT_BIAS = defineKernel({
  name: 'logit-bias',
  bindings: { samples: 'read', biases: 'read', logits: 'read_write' },
  overrides: ['VOCAB', 'LOGITS_STRIDE', 'MAX_BIASES'],
});

/** Bytes of one slot's biases: MAX_LOGIT_BIASES of (token, bias as f32 bits). */
export const SLOT_BIASES_BYTES = MAX_LOGIT_BIASES * 8;

export interface LogitBiasArgs {
  readonly vocabSize: number;
  readonly samples: BufferRange;
  /** `[slots]` of {@link SLOT_BIASES_BYTES}. */
  readonly biases: BufferRange;
  /** `[samples][logitsStride(vocabSize)]` f32; changed in place. */
  readonly logits: BufferRange;
}

/** Adds its slot's logit_bias to every sample's logits. */
export function logitBias(builder: OpBuilder, { vocabSize, samples, biases, logits }: LogitBiasArgs): Op {
  const overrides = { VOCAB: vocabSize, LOGITS_STRIDE: logitsStride(vocabSize), MAX_BIASES: MAX_LOGIT_BIASES };
  const key = builder.variant(LOGIT_BIAS, [shader('logit-bias')], overrides);
  return {
    name: 'logit-bias',
    bindGroup: builder.bind(LOGIT_BIAS, { samples, biases, logits }),
    pipeline: () => builder.pipeline(key),
    grid: (step) => [step.biased === 0 ? 0 : MAX_LOGIT_BIASES / 64, step.samples, 1],
    cost: (step) => cost({ words: 4 * step.biased * MAX_LOGIT_BIASES, macs: step.biased * MAX_LOGIT_BIASES }),
  };
}
