import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { MATMUL_BINDINGS, MATMUL_OVERRIDES, type MatmulArgs, matmulWith, type NormArgs, normOverrides } from './matmul.ts';
import { SAMPLE_BYTES } from './step-inputs.ts';
import { constants, shader } from './shaders.ts';

export const MATMUL_LOGITS = defineKernel({
  name: 'matmul-logits',
  bindings: { ...MATMUL_BINDINGS, squares: 'read', samples: 'uniform', logits: 'read_write' },
  overrides: [...MATMUL_OVERRIDES, 'SQUARES', 'EPSILON'],
});

export interface MatmulLogitsArgs extends MatmulArgs, NormArgs {
  /** SAMPLE_BYTES a sample; no more than 64 KiB. */
  readonly samples: BufferRange;
  /** `[samples][matrix rows]` f32. */
  readonly logits: BufferRange;
}

/** The logits of the samples, from the normalised rows that they are drawn from. */
export function matmulLogits(builder: OpBuilder, args: MatmulLogitsArgs): Op {
  const { squares, samples, logits } = args;
  return matmulWith(builder, args, {
    spec: MATMUL_LOGITS,
    modules: logitsModules(samples),
    normalised: true,
    paired: false,
    sampled: true,
    buffers: { squares, samples, logits },
    overrides: normOverrides(args.matrix.columns, args.epsilon),
  });
}

/** The epilogue's files. */
export function logitsModules(samples: { readonly size: number }) {
  const sizes = constants('samples', { SAMPLES: samples.size / SAMPLE_BYTES });
  return [shader('epilogue/logits'), shader('rows/sampled'), sizes];
}
