import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { shader } from './shaders.ts';

export const SILU_MUL = defineKernel({
  name: 'silu-mul',
  bindings: { gateUp: 'read', y: 'read_write', counts: 'uniform' },
  overrides: ['SIZE'],
});

export interface SiluMulArgs {
  readonly size: number;
  /** `[rows][gate of size, up of size]` f32. */
  readonly gateUp: BufferRange;
  /** `[rows][size]` f32. */
  readonly y: BufferRange;
  readonly counts: BufferRange;
}

/** y = silu(gate) * up. */
export function siluMul(builder: OpBuilder, { size, ...buffers }: SiluMulArgs): Op {
  const key = builder.variant(SILU_MUL, [shader('silu-mul'), shader('common/silu')], { SIZE: size });
  return {
    name: 'silu-mul',
    bindGroup: builder.bind(SILU_MUL, buffers),
    pipeline: () => builder.pipeline(key),
    grid: (step) => [Math.ceil(size / 4 / 64), step.tokens, 1],
    cost: (step) => cost({ words: 3 * size * step.tokens, macs: size * step.tokens }),
  };
}
