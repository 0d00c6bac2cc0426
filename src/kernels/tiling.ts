/** How the lanes of a matmul share its work: see shaders/matmul.wgsl. It does not change the results. */
export interface Tiling {
  /** Tokens of a lane. More tokens reuse each weight more, and take more registers; unused tokens are idle work. */
  readonly tokens: number;
  /** Tiles of a lane at once. More tiles reuse each x more, and take more registers. */
  readonly tiles: number;
  /** Groups of tiles that a lane takes one after another. */
  readonly series: number;
  /** Lanes side by side in a workgroup, a multiple of 8. */
  readonly set: number;
  /** Sets of lanes in a workgroup that share k: more active lanes where there are few outputs. */
  readonly splits: number;
}

/** One for each number of tokens that a lane may carry, ascending. */
export type Tilings = readonly Tiling[];

/** A name that is the same at every load. */
export function nameOfTiling({ tokens, tiles, series, set, splits }: Tiling): string {
  return `${tokens} tokens, ${tiles} x ${series} tiles, ${set} x ${splits} lanes`;
}

/**
 * The most workgroup memory that a matmul takes, in bytes: the partial sums of sets of lanes, and the lanes' best
 * candidates.
 */
export function workgroupBytes({ tokens, tiles, series, set, splits }: Tiling): number {
  return (splits > 1 ? splits * tokens * tiles * set * 16 : 0) + tokens * tiles * series * set * 8;
}

/** The tilings of a matrix's products. */
export interface TilingPlan {
  /** The defaults. */
  readonly tilings: Tilings;
  /** Whether the tiling of `tokens` tokens a lane is deferred: until it is compiled a step takes another. @default none is */
  readonly isDeferred?: (tokens: number) => boolean;
  /** Other tilings of `tokens` tokens a lane that are worth a trial, the most promising first. @default none */
  readonly candidateTilings?: (tokens: number) => Tilings;
}

/**
 * The distance, in tiles, between those of neighbouring sets of lanes. The two halves of a pair are half the matrix
 * apart.
 */
export function tileStep({ tiles, series }: Tiling, paired: boolean): number {
  return paired ? 1 : tiles * series;
}

/** The inputs of the choice of a tiling. */
export interface TilingNeeds {
  readonly isSoftware: boolean;
  /** The most lanes of a workgroup. @default 256, as WebGPU's core has */
  readonly maxLanes?: number;
  /** See MatmulArgs: loops leave fewer registers. @default false */
  readonly unrolled?: boolean;
  /** Tiles of the matrix. */
  readonly matrixTiles: number;
  /** Whether a lane has a tile of the matrix's first half and the matching one of its second half. */
  readonly paired: boolean;
  /** The number of slices of k: more sets of lanes would be idle. */
  readonly slices: number;
}

/**
 * The defaults, without a trial. A software adapter has few registers, slow barriers, a slow compiler, and few threads
 * to occupy. A GPU needs many lanes, and cannot hide the latency of a lane with much work.
 */
export function defaultTilings({ isSoftware, maxLanes = 256, unrolled = false, matrixTiles, paired }: Omit<TilingNeeds, 'slices'>): Tilings {
  const one = paired ? { tiles: 1, series: 2 } : { tiles: 1, series: 1 };
  const two = { tiles: paired || matrixTiles % 2 === 0 ? 2 : 1, series: 1 };
  if (isSoftware) {
    const alone = { set: 16, splits: 1 };
    const narrow = [
      { tokens: 1, ...one, set: 8, splits: 1 },
      { tokens: 2, ...one, set: 8, splits: 1 },
      { tokens: 4, ...one, ...alone },
    ];
    return unrolled ? [...narrow, { tokens: 8, ...two, ...alone }] : narrow;
  }
  // The partial sums of sets of lanes take set * splits * tokens * 16 bytes of 16 KiB.
  return [
    { tokens: 1, ...one, set: 16, splits: maxLanes / 16 },
    { tokens: 2, ...one, set: 16, splits: maxLanes / 16 },
    { tokens: 4, ...one, set: 16, splits: 8 },
    { tokens: 8, ...one, set: 16, splits: 4 },
  ];
}

/**
 * Whether a model is ready without this kernel. A single token has its own kernel from the start, all other steps the
 * width that is best for most. The best width on a GPU is slow to compile on a software adapter.
 */
export function isDeferredWidth({ isSoftware }: Pick<TilingNeeds, 'isSoftware'>, tokens: number): boolean {
  return tokens !== 1 && tokens !== (isSoftware ? 4 : 8);
}

/** WebGPU's default limit. */
const MAX_WORKGROUP_BYTES = 16 * 1024;
/** The most outputs, in vectors of 4, that a lane holds in registers. */
const MAX_PER_LANE = 16;

/**
 * Tilings that may be better than the default for `tokens` tokens a lane: sets from narrow to wide; k split until each
 * set has one slice; small and large workgroups; one tile a lane and more. The least {@link estimatedCost} is first.
 */
export function candidateTilings(needs: TilingNeeds, tokens: number): Tilings {
  const { matrixTiles, paired } = needs;
  const shares = paired ? [[1, 2], [2, 1]] as const : [[1, 1], [2, 1], [3, 1]] as const;
  return shares.flatMap(([tiles, series]) =>
    lanesOf(needs).map(([set, splits]) => ({ tokens, tiles, series, set, splits })),
  ).filter((tiling) => {
    const { tiles, series } = tiling;
    const fits = workgroupBytes(tiling) <= MAX_WORKGROUP_BYTES && tokens * tiles <= MAX_PER_LANE;
    return fits && matrixTiles % (tiles * series) === 0;
  }).toSorted((a, b) => estimatedCost(a, needs) - estimatedCost(b, needs));
}

/** Lanes that a GPU of middling size runs at once. */
const LANES_AT_ONCE = 16_384;
/** Side by side in a tile of the matrix. */
const LANES_OF_TILE = 8;
/** Loads that a barrier between sets of lanes takes as long as. */
const BARRIER_LOADS = 2;

/**
 * A guess of the time of a product, before anything is compiled: only the order of tilings by it means anything. It counts
 * a lane's loads and products for one slice of k, its slices, and how often the GPU is filled with lanes.
 */
export function estimatedCost(
  { tokens, tiles, series, set, splits }: Tiling,
  { matrixTiles, slices }: Pick<TilingNeeds, 'matrixTiles' | 'slices'>,
): number {
  const outputLanes = (matrixTiles / (tiles * series)) * LANES_OF_TILE;
  const lanes = Math.ceil(outputLanes / set) * set * splits; // those past the end of the matrix are idle, but there
  const loads = tiles + 2 * tokens; // a vector of x has half as many numbers as one of 4-bit weights
  const ofSlice = series * (loads + tiles * tokens) + (splits > 1 ? BARRIER_LOADS : 0);
  return Math.ceil(slices / splits) * ofSlice * Math.max(1, lanes / LANES_AT_ONCE);
}

/**
 * The numbers and widths of sets of lanes. A software adapter gains nothing from many lanes: they only wait for each
 * other.
 */
function lanesOf({ isSoftware, maxLanes = 256, slices }: TilingNeeds): readonly (readonly [set: number, splits: number])[] {
  if (isSoftware) return [[8, 1], [16, 1], [32, 1]];
  const sets = [8, 16, 32, 64, 128];
  const shared = [64, maxLanes].flatMap((lanes) => sets.map((set) => [set, lanes / set] as const));
  // Up to the power of two that has a set for each slice.
  return shared.filter(([, splits]) => splits >= 1 && splits <= 16 && splits < 2 * slices);
}
