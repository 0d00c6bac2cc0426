import type { Numerics } from '../core/numerics.ts';
import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { shader } from './shaders.ts';

export const QUANTISE = defineKernel({
  name: 'quantise',
  bindings: { x: 'read', y: 'read_write', counts: 'uniform' },
  overrides: ['K'],
});

/** Numerics in which x is not f32. */
export type QuantisedNumerics = Exclude<Numerics, 'f32'>;

export interface QuantiseArgs {
  readonly numerics: QuantisedNumerics;
  /** Elements of a row, a multiple of 32. */
  readonly columns: number;
  /** `[rows][columns]` f32. */
  readonly x: BufferRange;
  /** {@link quantisedBytes} bytes. */
  readonly y: BufferRange;
  /** Uniform that holds the number of rows: the step's tokens. */
  readonly counts: BufferRange;
}

/** Converts x to the form that a matmul of these numerics reads. */
export function quantise(builder: OpBuilder, { numerics, columns, ...buffers }: QuantiseArgs): Op {
  const modules = [shader('quantise'), shader(`activations/${activationsOf(numerics)}`)];
  const key = builder.variant(QUANTISE, modules, { K: columns });
  return {
    name: `quantise-${columns}`,
    bindGroup: builder.bind(QUANTISE, buffers),
    pipeline: () => builder.pipeline(key),
    grid: (step) => [Math.ceil(columns / 32 / 32), step.tokens, 1],
    cost: ({ tokens }) => cost({ words: tokens * columns, bytes: quantisedBytes(numerics, columns, tokens) }),
  };
}

/** The number type that x is rounded to. */
export function activationsOf(numerics: QuantisedNumerics): 'int8' | 'f16' {
  return numerics === 'dp4a' ? 'int8' : 'f16';
}

/** Bytes of `rows` rows. */
export function quantisedBytes(numerics: QuantisedNumerics, columns: number, rows: number): number {
  return rows * (columns / 32) * (numerics === 'dp4a' ? 48 : 80);
}
