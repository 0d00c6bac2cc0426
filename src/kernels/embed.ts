import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { matrixBytes, type PackedMatrix, scaleModules } from './matmul.ts';
import { shader } from './shaders.ts';

export const EMBED = defineKernel({
  name: 'embed',
  bindings: {
    weights: 'read',
    scales: 'read',
    rows: 'read',
    lastTokens: 'read',
    y: 'read_write',
    counts: 'uniform',
  },
  overrides: ['LANES', 'K'],
});

export interface EmbedArgs {
  readonly table: PackedMatrix;
  readonly rows: BufferRange;
  readonly lastTokens: BufferRange;
  /** `[tokens][columns]` f32. */
  readonly y: BufferRange;
  readonly counts: BufferRange;
}

/** y[t] = table[token of row t]. */
export function embed(builder: OpBuilder, { table, rows, lastTokens, y, counts }: EmbedArgs): Op {
  const modules = [shader('embed'), shader(`element/${table.format}`), ...scaleModules(table)];
  const key = builder.variant(EMBED, modules, { LANES: table.lanes, K: table.columns });
  return {
    name: 'embed',
    bindGroup: builder.bind(EMBED, { weights: table.weights, scales: table.scales, rows, lastTokens, y, counts }),
    pipeline: () => builder.pipeline(key),
    grid: (step) => [Math.ceil(table.columns / 64), step.tokens, 1],
    cost: ({ tokens }) => cost({ words: tokens * table.columns, bytes: (tokens * matrixBytes(table)) / table.rows }),
  };
}
