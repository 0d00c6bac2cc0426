import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { matrixBytes, type PackedMatrix, packingOf, scaleModule, squaresVectors } from './matmul.ts';
import { shader } from './shaders.ts';

export const EMBED = defineKernel({
  name: 'embed',
  bindings: {
    weights: 'read',
    scales: 'read',
    rows: 'read',
    lastTokens: 'read',
    gain: 'read',
    hidden: 'read_write',
    weighted: 'read_write',
    squares: 'read_write',
    counts: 'uniform',
  },
  overrides: ['LANES', 'K', 'SQUARES'],
});

export interface EmbedArgs {
  readonly table: PackedMatrix;
  readonly rows: BufferRange;
  readonly lastTokens: BufferRange;
  /** Of the norm that comes next, `[columns]` f32. */
  readonly gain: BufferRange;
  /** `[tokens][columns]` f32. */
  readonly hidden: BufferRange;
  /** hidden * gain, `[tokens][columns]` f32. */
  readonly weighted: BufferRange;
  /** squaresBytes() bytes. */
  readonly squares: BufferRange;
  readonly counts: BufferRange;
}

/** The module that unpacks one weight. */
export function elementModule(table: Pick<PackedMatrix, 'format' | 'numerics'>): ShaderModule {
  return shader(`element/${table.format}-${packingOf(table)}`);
}

/** hidden[t] = table[token of row t], and the first RMSNorm begun. */
export function embed(builder: OpBuilder, { table, ...buffers }: EmbedArgs): Op {
  const modules = [shader('embed'), elementModule(table), scaleModule(table)];
  const overrides = { LANES: table.lanes, K: table.columns, SQUARES: squaresVectors(table.columns) };
  const key = builder.variant(EMBED, modules, overrides);
  const { weights, scales } = table;
  return {
    name: 'embed',
    bindGroup: builder.bind(EMBED, { weights, scales, ...buffers }),
    pipeline: () => builder.pipeline(key),
    grid: (step) => [Math.ceil(table.columns / 128), step.tokens, 1],
    cost: ({ tokens }) => cost({ words: 2 * tokens * table.columns, bytes: (tokens * matrixBytes(table)) / table.rows }),
  };
}
