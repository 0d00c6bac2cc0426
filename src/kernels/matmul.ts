import { type Access, type Buffers, type BufferRange, defineKernel, type KernelSpec, type Overrides } from '../gpu/kernel.ts';
import type { Numerics } from '../core/numerics.ts';
import type { Op, OpBuilder, StepShape } from '../gpu/op.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { PackedFormat, Packing } from '../loader/repack.ts';
import { constants, shader } from './shaders.ts';
import { tileStep, type Tiling, type Tilings, widthOf } from './tiling.ts';

/** What every matmul binds and is told, whatever its epilogue. */
export const MATMUL_BINDINGS = { weights: 'read', scales: 'read', x: 'read', counts: 'uniform' } as const;
export const MATMUL_OVERRIDES = ['LANES', 'OUTPUTS', 'K', 'SLICE_GROUPS', 'TILE_STEP', 'TILE_STRIDE'] as const;

export const MATMUL = defineKernel({
  name: 'matmul',
  bindings: { ...MATMUL_BINDINGS, y: 'read_write' },
  overrides: [...MATMUL_OVERRIDES, 'OUTPUT_OFFSET', 'OUTPUT_STRIDE'],
});

export const MATMUL_NORMALISED = defineKernel({
  name: 'matmul-normalised',
  bindings: { ...MATMUL_BINDINGS, squares: 'read', y: 'read_write' },
  overrides: [...MATMUL_OVERRIDES, 'SQUARES', 'EPSILON', 'OUTPUT_OFFSET', 'OUTPUT_STRIDE'],
});

/** Quantised weights on the GPU: `rows` outputs by `columns` k, packed as loader/repack.ts lays them out. */
export interface PackedMatrix {
  readonly format: PackedFormat;
  /** What products with it are computed in, and with that how its words are packed. */
  readonly numerics: Numerics;
  /** Whether INT4's scales are held as f32 (see shaders/scales/): the same numbers, for adapters slow at converting. */
  readonly wideScales: boolean;
  readonly rows: number;
  readonly columns: number;
  /** Lanes of a tile: 4 rows each. */
  readonly lanes: number;
  /** Groups of 32 k that are summed before slices are: part of the numerics, so the same for every variant. */
  readonly sliceGroups: number;
  readonly weights: GPUBuffer;
  readonly scales: GPUBuffer;
}

/** How a matrix's words are packed. */
export function packingOf({ numerics }: Pick<PackedMatrix, 'numerics'>): Packing {
  return numerics === 'f32' ? 'quads' : 'bytes';
}

/** The module that reads the scales. */
export function scaleModule({ format, wideScales }: Pick<PackedMatrix, 'format' | 'wideScales'>): ShaderModule {
  return shader(`scales/${format === 'int8' ? 'int8' : wideScales ? 'f32' : 'f16'}`);
}

/** Whether k is summed in slices, as it must be where sets of lanes share it out. */
export function isSliced({ columns, sliceGroups }: Pick<PackedMatrix, 'columns' | 'sliceGroups'>): boolean {
  return sliceGroups < columns / 32;
}

/** What is done with a product, as a part of the kernel. */
export interface Epilogue<S extends MatmulSpec = MatmulSpec> {
  readonly spec: S;
  /** The file in shaders/epilogue/, and what it needs. */
  readonly modules: readonly ShaderModule[];
  /** Whether x is hidden states times a gain, still to be divided: see common/inverse-rms. */
  readonly normalised: boolean;
  /** Whether a lane has an output of the matrix's first half and the one of its second half. */
  readonly paired: boolean;
  /** Whether the tokens are samples, and their rows of x looked up. */
  readonly sampled: boolean;
  readonly buffers: Omit<Buffers<S>, keyof typeof MATMUL_BINDINGS>;
  readonly overrides: Omit<Overrides<S>, (typeof MATMUL_OVERRIDES)[number]>;
}

export type MatmulSpec = KernelSpec<Readonly<Record<string, Access>>, readonly string[]>;

export interface MatmulArgs {
  readonly matrix: PackedMatrix;
  /** `[rows][columns]` f32, or what kernels/quantise.ts makes of it; with room for rows rounded up to 8. */
  readonly x: BufferRange;
  /** Uniform holding how many tokens there are. */
  readonly counts: BufferRange;
  /** How many tokens a step has. */
  readonly tokens: (step: StepShape) => number;
  readonly subgroups: boolean;
  /** How lanes share the work out, by how many tokens there are. No part of the numerics. */
  readonly tilings: Tilings;
}

/** The modules that make up a variant. */
export function matmulModules(
  { matrix, x, subgroups }: Pick<MatmulArgs, 'matrix' | 'x' | 'subgroups'>,
  { modules, normalised, paired, sampled }: Pick<Epilogue, 'modules' | 'normalised' | 'paired' | 'sampled'>,
  { tokens, tiles, series, set, splits }: Tiling,
): ShaderModule[] {
  const isInt4 = matrix.format === 'int4';
  const { numerics } = matrix;
  const isExact = numerics === 'f32';
  const perGroup = groupShape(matrix);
  const values = {
    TOKENS: tokens,
    TILES: tiles,
    SERIES: series,
    F32: isExact,
    F16: numerics === 'f16',
    ...perGroup,
    SUBGROUPS: isExact && subgroups,
    SLICED: isSliced(matrix),
    SPLIT: splits > 1,
    // A group's words one after the other in the text, or in a loop: whichever was faster on SwiftShader.
    UNROLLED_WORDS: isInt4 ? 4 : 1,
    LOOPED: !isInt4,
    WORD_QUADS: isInt4 ? 2 : 1,
    HAS_MINIMUM: isInt4,
    NORMALISED: normalised,
    PAIRED: paired,
  };
  const { weights, scales } = matrix;
  const lengths = { WEIGHTS: weights.size / 16, SCALES: scales.size / 16, X_ELEMENTS: x.size / 4 };
  const shares = { TOKENS: tokens, TILES: tiles, SERIES: series, SET: set, SPLITS: splits, WORKGROUP: set * splits };
  return [
    constants('sizes', { ...lengths, ...shares, ...perGroup }),
    { ...shader('matmul'), values },
    shader(`quant/${isExact ? '' : `${numerics}-`}${matrix.format}`),
    { ...shader(`dot/${numerics}`), values },
    scaleModule(matrix),
    ...(sampled ? [] : [shader('rows/own')]),
    ...(normalised ? [shader('common/inverse-rms')] : []),
    ...modules,
  ];
}

/** How much there is in a group of 32 k where x is quantised: vectors of x, words of weights for each, operands a word. */
function groupShape({ numerics, format }: PackedMatrix) {
  const xVectors = numerics === 'dp4a' ? 2 : 4;
  const words = format === 'int4' ? 4 : 8;
  return { X_VECTORS: xVectors, VECTOR_WORDS: words / xVectors, WORD_OPERANDS: (4 * xVectors) / words };
}

/** An epilogue of x · Wᵀ. */
export function matmulWith<S extends MatmulSpec>(builder: OpBuilder, args: MatmulArgs, epilogue: Epilogue<S>): Op {
  const { matrix, x, counts, tilings, tokens } = args;
  const { spec, paired } = epilogue;
  const tiles = Math.ceil(matrix.rows / (4 * matrix.lanes));
  const variants = tilings.map((tiling) => {
    const step = tileStep(tiling, paired);
    const overrides = {
      ...epilogue.overrides,
      LANES: matrix.lanes,
      OUTPUTS: matrix.rows,
      K: matrix.columns,
      SLICE_GROUPS: matrix.sliceGroups,
      TILE_STEP: step,
      TILE_STRIDE: paired ? tiles / 2 : 1,
    };
    const key = builder.variant(spec, matmulModules(args, epilogue, tiling), overrides as unknown as Overrides<S>);
    const lanes = Math.ceil(tiles / tiling.tiles / tiling.series) * matrix.lanes;
    return { key, tiling, workgroups: Math.ceil(lanes / tiling.set) };
  });
  const variantOf = (step: StepShape) => widthOf(variants, tokens(step), ({ tiling }) => tiling.tokens);
  const buffers = { weights: matrix.weights, scales: matrix.scales, x, counts, ...epilogue.buffers };
  return {
    name: `${spec.name}-${matrix.format}-${matrix.rows}x${matrix.columns}`,
    bindGroup: builder.bind(spec, buffers as unknown as Buffers<S>),
    pipeline: (step) => builder.pipeline(variantOf(step).key),
    grid: (step) => {
      const { workgroups, tiling } = variantOf(step);
      return [workgroups, Math.ceil(tokens(step) / tiling.tokens), 1];
    },
  };
}

export interface StoreArgs extends MatmulArgs {
  /** `[tokens][outputStride]` f32. */
  readonly y: BufferRange;
  /** Where in a row of y the outputs go; a multiple of 4. @default 0 */
  readonly outputOffset?: number;
  /** @default the matrix's rows */
  readonly outputStride?: number;
}

/** y = x · Wᵀ. */
export function matmul(builder: OpBuilder, args: StoreArgs): Op {
  const modules = [shader('epilogue/store')];
  const flags = { normalised: false, paired: false, sampled: false };
  return matmulWith(builder, args, { spec: MATMUL, modules, ...flags, buffers: { y: args.y }, overrides: placeOf(args) });
}

/** What x needs to become normalised, see common/inverse-rms. */
export interface NormArgs {
  /** {@link squaresBytes} bytes. */
  readonly squares: BufferRange;
  readonly epsilon: number;
}

/** The divisor's constants, for vectors of `size` elements. */
export function normOverrides(size: number, epsilon: number) {
  return { SQUARES: Math.ceil(size / 128), EPSILON: epsilon };
}

/** Bytes of the sums of squares of `rows` rows of `size` elements. */
export function squaresBytes(size: number, rows: number): number {
  return rows * Math.ceil(size / 128) * 16;
}

/** y = x · Wᵀ of normalised x. */
export function matmulNormalised(builder: OpBuilder, args: StoreArgs & NormArgs): Op {
  const overrides = { ...normOverrides(args.matrix.columns, args.epsilon), ...placeOf(args) };
  const modules = [shader('epilogue/store-normalised')];
  const flags = { normalised: true, paired: false, sampled: false };
  const buffers = { squares: args.squares, y: args.y };
  return matmulWith(builder, args, { spec: MATMUL_NORMALISED, modules, ...flags, buffers, overrides });
}

function placeOf({ matrix, outputOffset = 0, outputStride = matrix.rows }: StoreArgs) {
  return { OUTPUT_OFFSET: outputOffset, OUTPUT_STRIDE: outputStride };
}
