/** How a matmul's lanes share its work out: see shaders/matmul.wgsl. No part of the numerics. */
export interface Tiling {
  /** Tokens a lane carries: more reuse of each weight, against more registers and idle tokens. */
  readonly tokens: number;
  /** Tiles a lane carries at once: more reuse of each x, against more registers. */
  readonly tiles: number;
  /** And one after the other. */
  readonly series: number;
  /** Lanes side by side in a workgroup, a multiple of 8. */
  readonly set: number;
  /** Sets of lanes in a workgroup that share k out: more lanes at work where there are few outputs. */
  readonly splits: number;
}

/** One for each number of tokens that a lane may carry, ascending. */
export type Tilings = readonly Tiling[];

/** The first that has room for all tokens, else the last. */
export function widthOf<T>(ascending: readonly T[], tokens: number, tokensOf: (item: T) => number): T {
  const found = ascending.find((item) => tokensOf(item) >= tokens) ?? ascending.at(-1);
  if (found === undefined) throw new Error('a matmul needs a tiling');
  return found;
}

/** How many tiles lie between those of neighbouring sets of lanes: the two halves of a pair are half the matrix apart. */
export function tileStep({ tiles, series }: Tiling, paired: boolean): number {
  return paired ? 1 : tiles * series;
}

/** What a tiling is chosen by. */
export interface TilingNeeds {
  readonly isSoftware: boolean;
  /** Tiles of the matrix. */
  readonly matrixTiles: number;
  /** Whether a lane has a tile of the matrix's first half and the one of its second half. */
  readonly paired: boolean;
}

/**
 * What is good without having been raced. A software adapter has few registers, slow barriers, a slow compiler and no more
 * than some threads to keep busy; a GPU wants many lanes, and hides nothing where one has much to do alone.
 */
export function defaultTilings({ isSoftware, matrixTiles, paired }: TilingNeeds): Tilings {
  const one = paired ? { tiles: 1, series: 2 } : { tiles: 1, series: 1 };
  const two = { tiles: paired || matrixTiles % 2 === 0 ? 2 : 1, series: 1 };
  if (isSoftware) {
    const alone = { set: 16, splits: 1 };
    return [
      { tokens: 1, ...one, set: 8, splits: 1 },
      { tokens: 2, ...one, set: 8, splits: 1 },
      { tokens: 4, ...one, ...alone },
      { tokens: 8, ...two, ...alone },
    ];
  }
  // What sets of lanes hand over takes set * splits * tokens * 16 bytes of 16 KiB.
  return [
    { tokens: 1, ...one, set: 16, splits: 16 },
    { tokens: 2, ...one, set: 16, splits: 16 },
    { tokens: 4, ...one, set: 16, splits: 8 },
    { tokens: 8, ...one, set: 16, splits: 4 },
  ];
}
