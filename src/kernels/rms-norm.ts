import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { Op, OpBuilder, StepShape } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { shader } from './shaders.ts';

export const RMS_NORM = defineKernel({
  name: 'rms-norm',
  bindings: { x: 'read', weight: 'read', samples: 'read', y: 'read_write' },
  overrides: ['SIZE', 'EPSILON', 'GATHER', 'LANES'],
});

export interface RmsNormArgs {
  readonly size: number;
  readonly epsilon: number;
  /** Lanes of a workgroup, a power of two; part of the numerics. */
  readonly lanes: number;
  /** `[rows][size]` f32. */
  readonly x: BufferRange;
  /** `[size]` f32. */
  readonly weight: BufferRange;
  readonly samples: BufferRange;
  /** `[rows][size]` f32. */
  readonly y: BufferRange;
  /** Normalise only the rows to be sampled, in the samples' order. */
  readonly gather: boolean;
}

/** y = x / rms(x) * weight, row by row. */
export function rmsNorm(builder: OpBuilder, { size, epsilon, lanes, gather, ...buffers }: RmsNormArgs): Op {
  const overrides = { SIZE: size, EPSILON: epsilon, GATHER: gather, LANES: lanes };
  const key = builder.variant(RMS_NORM, [shader('rms-norm')], overrides);
  const rowsOf = (step: StepShape): number => (gather ? step.samples : step.tokens);
  return {
    name: 'rms-norm',
    bindGroup: builder.bind(RMS_NORM, buffers),
    pipeline: () => builder.pipeline(key),
    grid: (step) => [rowsOf(step), 1, 1],
    cost: (step) => cost({ words: size * (1 + 2 * rowsOf(step)), macs: 2 * size * rowsOf(step) }),
  };
}
