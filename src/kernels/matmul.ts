import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { Op, OpBuilder, StepShape } from '../gpu/op.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { PackedFormat } from '../loader/repack.ts';
import { cost } from './cost.ts';
import { constants, shader } from './shaders.ts';

export const MATMUL = defineKernel({
  name: 'matmul',
  bindings: { weights: 'read', scales: 'read', x: 'read', y: 'read_write', counts: 'uniform' },
  overrides: ['LANES', 'OUTPUTS', 'K', 'SLICE_GROUPS', 'OUTPUT_OFFSET', 'OUTPUT_STRIDE', 'ACCUMULATE'],
});

/** Quantised weights on the GPU: `rows` outputs by `columns` k, packed as loader/repack.ts lays them out. */
export interface PackedMatrix {
  readonly format: PackedFormat;
  /** Whether INT4's scales are held as f32 (see shaders/scales/): the same numbers, for adapters slow at converting. */
  readonly wideScales: boolean;
  readonly rows: number;
  readonly columns: number;
  /** Lanes of a tile: 4 rows each. */
  readonly lanes: number;
  readonly weights: GPUBuffer;
  readonly scales: GPUBuffer;
}

/** Bytes of a matrix, its scales included. */
export function matrixBytes({ weights, scales }: Pick<PackedMatrix, 'weights' | 'scales'>): number {
  return weights.size + scales.size;
}

/** Groups of 32 k that are summed before slices are: part of the numerics, so the same for every variant. */
export const SLICE_GROUPS = 8;

/** The numbers of tokens a lane may carry, one shader each. */
export const TOKEN_TILES = [1, 4, 8] as const;
type TokenTile = (typeof TOKEN_TILES)[number];

/** How many tokens a lane carries: more reuse of each weight, against more registers and idle tokens. */
function tokenTileOf(tokens: number, largest: TokenTile): TokenTile {
  if (tokens === 1) return 1;
  return tokens > 4 ? largest : 4;
}

/** The buffers' lengths, as matmul.wgsl wants them. */
function sizes({ matrix, x, y }: Pick<MatmulArgs, 'matrix' | 'x' | 'y'>): ShaderModule {
  return constants('sizes', {
    WEIGHTS: matrix.weights.size / 16,
    SCALES: matrix.scales.size / 16,
    X_ELEMENTS: x.size / 4,
    Y: y.size / 16,
  });
}

/** The module that reads INT4's scales; INT8 has its own, one f32 a group. */
export function scaleModules({ format, wideScales }: Pick<PackedMatrix, 'format' | 'wideScales'>): ShaderModule[] {
  return format === 'int4' ? [shader(`scales/${wideScales ? 'f32' : 'f16'}`)] : [];
}

/** The modules that make up a variant. */
export function matmulModules(args: Pick<MatmulArgs, 'matrix' | 'x' | 'y' | 'subgroups'>, tile: TokenTile) {
  return [
    sizes(args),
    shader('matmul'),
    shader(`quant/${args.matrix.format}`),
    ...scaleModules(args.matrix),
    shader(`tokens/${tile}`),
    shader(`activations/${args.subgroups ? 'subgroup' : 'uniform'}`),
    shader(`walk/${tile === 1 && args.matrix.format === 'int4' ? 'unrolled' : 'looped'}`),
  ];
}

export interface MatmulArgs {
  readonly matrix: PackedMatrix;
  /** `[tokens][columns]` f32, with room for tokens rounded up to 8. */
  readonly x: BufferRange;
  /** `[tokens][outputStride]` f32. */
  readonly y: BufferRange;
  /** Where in a row of y the outputs go; a multiple of 4. @default 0 */
  readonly outputOffset?: number;
  /** @default the matrix's rows */
  readonly outputStride?: number;
  /** Add to y instead of overwriting it. @default false */
  readonly accumulate?: boolean;
  /** Uniform holding how many rows of x there are. */
  readonly counts: BufferRange;
  /** How many rows of x a step has. */
  readonly tokens: (step: StepShape) => number;
  readonly subgroups: boolean;
  /** The most tokens a lane carries. @default 8 */
  readonly largestTile?: 4 | 8;
  /** Tokens a lane carries, always. @default chosen by the step's tokens */
  readonly tokenTile?: TokenTile;
}

/** y (+)= x · Wᵀ. */
export function matmul(builder: OpBuilder, args: MatmulArgs): Op {
  const { matrix, x, y, counts } = args;
  const overrides = {
    LANES: matrix.lanes,
    OUTPUTS: matrix.rows,
    K: matrix.columns,
    SLICE_GROUPS,
    OUTPUT_OFFSET: args.outputOffset ?? 0,
    OUTPUT_STRIDE: args.outputStride ?? matrix.rows,
    ACCUMULATE: args.accumulate ?? false,
  };
  const keys = new Map(
    TOKEN_TILES.map((tile) => [tile, builder.variant(MATMUL, matmulModules(args, tile), overrides)]),
  );
  const tileOf = (step: StepShape): TokenTile => args.tokenTile ?? tokenTileOf(args.tokens(step), args.largestTile ?? 8);
  const tiles = Math.ceil(matrix.rows / (4 * matrix.lanes));
  return {
    name: `matmul-${matrix.format}-${matrix.rows}x${matrix.columns}`,
    bindGroup: builder.bind(MATMUL, { weights: matrix.weights, scales: matrix.scales, x, y, counts }),
    pipeline: (step) => builder.pipeline(keys.get(tileOf(step)) ?? ''),
    grid: (step) => [tiles, Math.ceil(args.tokens(step) / tileOf(step)), 1],
    cost: (step) => {
      const activations = args.tokens(step) * (matrix.columns + matrix.rows * (args.accumulate === true ? 2 : 1));
      return cost({ words: activations, bytes: matrixBytes(matrix), macs: args.tokens(step) * matrix.rows * matrix.columns });
    },
  };
}
