import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { isFloatFormat } from '../quant/packed-layout.ts';
import { matrixBytes, type PackedMatrix, packingOf, scaleModules, squaresVectors } from './matmul.ts';
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
  overrides: ['LANES', 'K', 'SQUARES', 'FIRST', 'END', 'VOCAB'],
});

export interface EmbedArgs {
  /** All rows, or a range of them: a row of `hidden` whose token lies outside the range is left unchanged. */
  readonly table: PackedMatrix;
  /** The token of the table's first row. @default 0 */
  readonly firstToken?: number;
  /** The number of tokens; further rows of the tables are padding. @default the table's rows */
  readonly vocabSize?: number;
  readonly rows: BufferRange;
  readonly lastTokens: BufferRange;
  /** The next norm's gain, `[columns]` f32. */
  readonly gain: BufferRange;
  /** `[tokens][columns]` f32. */
  readonly hidden: BufferRange;
  /** hidden * gain, `[tokens][columns]` f32. */
  readonly weighted: BufferRange;
  /** squaresBytes() bytes. */
  readonly squares: BufferRange;
  readonly counts: BufferRange;
}

/** The modules that unpack 4 neighbouring weights. */
export function elementModules(table: Pick<PackedMatrix, 'format' | 'numerics' | 'wideScales'>): readonly ShaderModule[] {
  if (isFloatFormat(table.format)) {
    return [...(table.format === 'f32' ? [] : [shader('element/two-words')]), shader(`element/${table.format}`)];
  }
  return [shader('element/one-word'), shader(`element/${table.format}-${packingOf(table)}`), ...scaleModules(table)];
}

/** hidden[t] = table[token of row t], and the first RMSNorm's gain and sums of squares. */
export function embed(builder: OpBuilder, args: EmbedArgs): Op {
  const { table, firstToken = 0, vocabSize = table.rows, ...buffers } = args;
  const modules = [shader('embed'), ...elementModules(table)];
  const shape = { LANES: table.lanes, K: table.columns, SQUARES: squaresVectors(table.columns) };
  const overrides = { ...shape, FIRST: firstToken, END: firstToken + table.rows, VOCAB: vocabSize };
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
