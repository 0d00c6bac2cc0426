import type { Access, Buffers, BufferRange, KernelSpec, Overrides } from '../gpu/kernel.ts';
import type { Numerics } from '../core/numerics.ts';
import { missDeferred, readyFor, type Variant } from '../gpu/variant-set.ts';
import type { Grid, Op, OpBuilder, OpCost, StepShape } from '../gpu/op.ts';
import { constants, type ShaderModule } from '../gpu/link.ts';
import { isFloatFormat, type PackedFormat, weightsPerWord } from '../quant/packed-layout.ts';
import type { Packing } from '../quant/repack.ts';
import { CHECK_TOKENS, type EpilogueScene, productScene } from './check-scenes.ts';
import { cost } from './cost.ts';
import { quantisedBytes } from './quantise.ts';
import { shader } from './shaders.ts';
import { nameOfTiling, tileStep, type Tiling, type TilingPlan } from './tiling.ts';

/** The bindings that all matmuls share, whatever their epilogue. */
export const MATMUL_BINDINGS = { weights: 'read', scales: 'read', x: 'read', counts: 'uniform' } as const;
export const MATMUL_OVERRIDES = ['LANES', 'OUTPUTS', 'K', 'SLICE_GROUPS', 'RUN_GROUPS', 'TILE_STEP', 'TILE_STRIDE'] as const;

/** Further constants of a matmul of normalised x. */
export const NORM_OVERRIDES = ['SQUARES', 'EPSILON', 'NORM_SIZE'] as const;

/** Weights on the GPU: `rows` outputs by `columns` k, a multiple of 32, in the layout of quant/repack.ts. */
export interface PackedMatrix {
  readonly format: PackedFormat;
  /** The number type of its products, which also decides how its words are packed. Floats have f32. */
  readonly numerics: Numerics;
  /**
   * Whether INT4's scales are stored as f32 (see shaders/scales/): the same numbers, for adapters that convert slowly.
   */
  readonly wideScales: boolean;
  readonly rows: number;
  readonly columns: number;
  /** Lanes of a tile: 4 rows each. */
  readonly lanes: number;
  /**
   * Groups of 32 k in a slice. Each slice is summed first, then the slices are: this changes results, so it is the same
   * for every variant.
   */
  readonly sliceGroups: number;
  readonly weights: GPUBuffer;
  /** Floats have no scales: for them, a buffer that is never read. */
  readonly scales: GPUBuffer;
}

/** Bytes of a matrix, its scales included. */
export function matrixBytes({ weights, scales }: Pick<PackedMatrix, 'weights' | 'scales'>): number {
  return weights.size + scales.size;
}

/** The most runs of groups that a slice is summed in: with 16 slices, as many as 64 sets of lanes could share. */
const SLICE_RUNS = 4;

/** Groups of 32 k in a run. */
function runGroups({ sliceGroups }: Pick<PackedMatrix, 'sliceGroups'>): number {
  return Math.ceil(sliceGroups / SLICE_RUNS);
}

/** How the matrix's words are packed. */
export function packingOf({ numerics }: Pick<PackedMatrix, 'numerics'>): Packing {
  return numerics === 'f32' ? 'quads' : 'bytes';
}

/** The module that reads the scales, if there are any. */
export function scaleModules({ format, wideScales }: Pick<PackedMatrix, 'format' | 'wideScales'>): readonly ShaderModule[] {
  if (isFloatFormat(format)) return [];
  return [shader(`scales/${format === 'int8' ? 'int8' : wideScales ? 'f32' : 'f16'}`)];
}

/** Tiles of a matrix; the last may be partial. */
export function tilesOf({ rows, lanes }: Pick<PackedMatrix, 'rows' | 'lanes'>): number {
  return Math.ceil(rows / (4 * lanes));
}

/** The number of slices that k is summed in. */
export function slicesOf({ columns, sliceGroups }: Pick<PackedMatrix, 'columns' | 'sliceGroups'>): number {
  return Math.ceil(columns / 32 / sliceGroups);
}

/** Whether k is summed in slices, which sets of lanes need in order to share it. */
export function isSliced(matrix: Pick<PackedMatrix, 'columns' | 'sliceGroups'>): boolean {
  return slicesOf(matrix) > 1;
}

/** The part of the kernel that consumes the products. */
export interface Epilogue<S extends MatmulSpec = MatmulSpec> {
  readonly spec: S;
  /** The file in shaders/epilogue/, and its dependencies. */
  readonly modules: readonly ShaderModule[];
  /** Whether x is hidden states times a gain, not divided yet: see common/inverse-rms. @default false */
  readonly normalised?: boolean;
  /** Whether a lane has an output of the matrix's first half and the matching one of its second half. @default false */
  readonly paired?: boolean;
  /** Whether the tokens are samples, whose rows of x are looked up. @default false */
  readonly sampled?: boolean;
  /** Words of 4 bytes that are moved for each output of a token. @default 1 */
  readonly wordsPerOutput?: number;
  /** Its part of a check of `tokens` tokens. */
  readonly checkScene: (tokens: number) => EpilogueScene;
  /** The most tokens that its inputs have room for. @default as many as x has */
  readonly maxTokens?: number;
  readonly buffers: Omit<Buffers<S>, keyof typeof MATMUL_BINDINGS>;
  readonly overrides: Omit<Overrides<S>, (typeof MATMUL_OVERRIDES)[number]>;
}

/** The part of an epilogue that decides the kernel's text. */
export type EpilogueText = Pick<Epilogue, 'modules' | 'normalised' | 'paired' | 'sampled'>;

export type MatmulSpec = KernelSpec<Readonly<Record<string, Access>>, readonly string[]>;

/** How the lanes share the work does not change the results. */
export interface MatmulArgs extends TilingPlan {
  readonly matrix: PackedMatrix;
  /** `[rows][columns]` f32, or the output of kernels/quantise.ts; with room for rows rounded up to a multiple of 8. */
  readonly x: BufferRange;
  /** Uniform that holds the number of tokens. */
  readonly counts: BufferRange;
  /** The number of tokens of a step. */
  readonly tokens: (step: StepShape) => number;
  readonly subgroups: boolean;
  /** Whether the words of an INT4 group are unrolled in the text. Does not change the results. @default false */
  readonly unrolled?: boolean;
}

/** The modules of a variant. */
export function matmulModules(
  { matrix, x, subgroups, unrolled = false }: Pick<MatmulArgs, 'matrix' | 'x' | 'subgroups' | 'unrolled'>,
  { modules, normalised = false, paired = false, sampled = false }: EpilogueText,
  { tokens, tiles, series, set, splits }: Tiling,
): ShaderModule[] {
  const isInt4 = matrix.format === 'int4';
  const { numerics } = matrix;
  const isExact = numerics === 'f32';
  const perGroup = isExact ? stepShape(matrix) : groupShape(matrix);
  const lanesWork = { TOKENS: tokens, TILES: tiles, SERIES: series };
  const values = {
    ...lanesWork,
    ...perGroup,
    SUBGROUPS: isExact && subgroups,
    SPLIT: splits > 1,
    UNROLLED_WORDS: isInt4 && unrolled ? 4 : 1,
    LOOPED: !(isInt4 && unrolled),
    WORD_QUADS: isInt4 ? 2 : 1,
    HAS_SCALE: !isFloatFormat(matrix.format),
    HAS_MINIMUM: isInt4,
    ROUNDS: slicesOf(matrix) > splits,
    NORMALISED: normalised,
    NORMS_SHARED: normalised && splits > 1,
    PAIRED: paired,
  };
  const { weights, scales } = matrix;
  const lengths = { WEIGHTS: weights.size / 16, SCALES: scales.size / 16, X_ELEMENTS: x.size / 4 };
  const shares = { ...lanesWork, SET: set, SPLITS: splits, WORKGROUP: set * splits };
  const includes = {
    SETS: shader(`sets/${setsOf(matrix, splits)}`),
    SLICE: shader(`slices/${runGroups(matrix) > 1 ? 'long-runs' : 'single-groups'}`),
    PRODUCTS: shader(`products/${isExact ? 'exact' : 'quantised'}`),
  };
  return [
    constants('sizes', { ...lengths, ...shares, ...perGroup }),
    { ...shader('matmul'), values, includes },
    shader(`quant/${isExact ? '' : `${numerics}-`}${matrix.format}`),
    ...(isFloatFormat(matrix.format) ? [shader('common/own-x')] : []),
    { ...shader(`dot/${numerics}`), values },
    ...scaleModules(matrix),
    ...(sampled ? [] : [shader('rows/own')]),
    ...(normalised ? [shader('common/inverse-rms')] : []),
    ...modules.map((module) => ({ values, ...module })),
  ];
}

/** How sets of lanes share k. */
function setsOf(matrix: PackedMatrix, splits: number): 'whole' | 'one' | 'several' {
  if (splits > 1) return 'several';
  return isSliced(matrix) ? 'one' : 'whole';
}

/** The number of words of weights that are loaded at once: a quad of k at least. */
function stepShape({ format }: PackedMatrix) {
  return { STEP_WORDS: Math.max(1, 4 / weightsPerWord(format)) };
}

/** The shape of a group of 32 k where x is quantised: vectors of x, words of weights for each, operands in a word. */
function groupShape({ numerics, format }: PackedMatrix) {
  const xVectors = numerics === 'dp4a' ? 2 : 4;
  const words = 32 / weightsPerWord(format);
  return { X_VECTORS: xVectors, VECTOR_WORDS: words / xVectors, WORD_OPERANDS: (4 * xVectors) / words };
}

/** Tokens of a trial of the widest lanes: they carry prompts, too. */
const TRIAL_TOKENS = 64;

/** An op of x · Wᵀ and an epilogue. */
export function matmulWith<S extends MatmulSpec>(builder: OpBuilder, args: MatmulArgs, epilogue: Epilogue<S>): Op {
  const { matrix, x, counts, tilings, isDeferred, candidateTilings = () => [], tokens } = args;
  const { spec } = epilogue;
  const name = `${spec.name}-${matrix.format}-${matrix.rows}x${matrix.columns}`;
  const costOf = (count: number): OpCost => {
    const words = count * (matrix.columns + matrix.rows * (epilogue.wordsPerOutput ?? 1));
    return cost({ words, bytes: matrixBytes(matrix), macs: count * matrix.rows * matrix.columns });
  };
  const buffers = { weights: matrix.weights, scales: matrix.scales, x, counts, ...epilogue.buffers } as unknown as Buffers<S>;
  const family = {};
  const variantSets = tilings.map((tiling) => {
    const trialTokens = tiling === tilings.at(-1) ? TRIAL_TOKENS : tiling.tokens;
    const variantOf = (each: Tiling): Variant<Tiling> => tiledVariant(args, epilogue, each, trialTokens);
    const candidates = (): Variant<Tiling>[] => candidateTilings(tiling.tokens).map(variantOf);
    const trialInputs = () => ({ counts: new Uint32Array(4) }); // no rows: all is computed, nothing is written
    const trialStep = { tokens: trialTokens, bytes: costOf(trialTokens).bytes };
    const checkScene = () => productScene(checkTokensOf(args, epilogue), epilogue.checkScene(checkTokensOf(args, epilogue)));
    const trial = { candidates, trialInputs, trialStep, checkScene, family };
    const deferred = isDeferred?.(tiling.tokens) ?? false;
    const initial = variantOf(tiling);
    const variantSet = builder.variantSet({ name, spec, tokens: tiling.tokens, initial, isDeferred: deferred, ...trial });
    variantSet.buffers.push(buffers);
    return variantSet;
  });
  const variantSetOf = (step: StepShape) => readyFor(variantSets, tokens(step));
  return {
    name,
    bindGroup: builder.bind(spec, buffers),
    pipeline: (step) => {
      missDeferred(variantSets, tokens(step));
      return variantSetOf(step).pipeline;
    },
    grid: (step) => gridOf(matrix, variantSetOf(step).variant.detail, tokens(step)),
    cost: (step) => costOf(tokens(step)),
  };
}

/** A product in one tiling. */
function tiledVariant<S extends MatmulSpec>(args: MatmulArgs, epilogue: Epilogue<S>, tiling: Tiling, trialTokens: number): Variant<Tiling> {
  const { matrix } = args;
  const { paired = false } = epilogue;
  return {
    name: nameOfTiling(tiling),
    detail: tiling,
    modules: matmulModules(args, epilogue, tiling),
    overrides: {
      ...epilogue.overrides,
      LANES: matrix.lanes,
      OUTPUTS: matrix.rows,
      K: matrix.columns,
      SLICE_GROUPS: matrix.sliceGroups,
      RUN_GROUPS: runGroups(matrix),
      TILE_STEP: tileStep(tiling, paired),
      TILE_STRIDE: paired ? tilesOf(matrix) / 2 : 1,
    },
    trialGrid: gridOf(matrix, tiling, trialTokens),
    checkGrid: gridOf(matrix, tiling, checkTokensOf(args, epilogue)),
  };
}

/** As many tokens as a check wants, where x and the epilogue's inputs have room for them. */
function checkTokensOf({ matrix: { columns, numerics }, x }: Pick<MatmulArgs, 'matrix' | 'x'>, { maxTokens = Infinity }: Pick<Epilogue, 'maxTokens'>): number {
  const rowBytes = numerics === 'f32' ? 4 * columns : quantisedBytes(numerics, columns, 1);
  return Math.min(CHECK_TOKENS, maxTokens, Math.floor(x.size / rowBytes));
}

/** Blocks of tokens, then workgroups over the outputs: adapters begin neighbours in x one after the other, and these share their weights. */
function gridOf(matrix: PackedMatrix, { tiles, series, set, tokens }: Tiling, count: number): Grid {
  const lanes = Math.ceil(tilesOf(matrix) / tiles / series) * matrix.lanes;
  return [Math.ceil(count / tokens), Math.ceil(lanes / set), 1];
}

/** The inputs of x's normalisation, see common/inverse-rms. */
export interface NormArgs {
  /** {@link squaresBytes} bytes. */
  readonly squares: BufferRange;
  readonly epsilon: number;
  /** Elements of x without padding. @default the matrix's columns */
  readonly normSize?: number | undefined;
}

/** The sums of squares in a check. */
export const NORM_NUMBERS = { squares: 'positive' } as const;

/** The divisor's constants. */
export function normOverrides({ matrix: { columns }, epsilon, normSize = columns }: NormArgs & Pick<MatmulArgs, 'matrix'>) {
  return { SQUARES: squaresVectors(columns), EPSILON: epsilon, NORM_SIZE: normSize };
}

/** Vectors of 4 sums of squares of 32 elements each, for a row of `size` elements. */
export function squaresVectors(size: number): number {
  return Math.ceil(size / 128);
}

/** Bytes of the sums of squares of `rows` rows of `size` elements. */
export function squaresBytes(size: number, rows: number): number {
  return rows * squaresVectors(size) * 16;
}
