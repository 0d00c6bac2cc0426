import { defaultTilings, type Tiling, type Tilings } from '../../src/kernels/tiling.ts';

const one = (tokens: number, tiles: number, set = 16, splits = 1, series = 1): Tilings => [{ tokens, tiles, series, set, splits }];

/** Every part of a tiling at each of its values at least once; where k is in slices, sets of lanes that share it out too. */
export function tilings(sliced: boolean): Readonly<Record<string, Tilings>> {
  const shared = [one(1, 1, 16, 16), one(1, 2, 16, 4), one(2, 1, 8, 16), one(4, 1, 16, 8), one(8, 1, 16, 4), one(1, 1, 32, 3)];
  const alone = [one(1, 1, 8), one(1, 1, 64), one(1, 1, 16, 1, 2), one(2, 2), one(4, 1), one(4, 2), one(8, 1), one(8, 3), one(3, 2, 8, 1, 2)];
  const single = Object.fromEntries([...alone, ...(sliced ? shared : [])].map((tiling) => [nameOf(tiling), tiling]));
  const isSoftware = [true, ...(sliced ? [false] : [])];
  return { ...single, ...Object.fromEntries(isSoftware.map((is) => [`default ${is}`, defaultTilings({ isSoftware: is, matrixTiles: 2, paired: false })])) };
}

/** As many as show that a tiling is no part of the numerics, where compilers are slow. */
export function someTilings(sliced: boolean): Readonly<Record<string, Tilings>> {
  const alone = [one(1, 1, 8), one(2, 2), one(8, 1, 16, 1, 2)];
  const shared = [one(1, 1, 16, 16), one(4, 1, 32, 3)];
  return Object.fromEntries([...alone, ...(sliced ? shared : [])].map((tiling) => [nameOf(tiling), tiling]));
}

const nameOf = ([tiling]: Tilings): string => Object.entries(tiling as Tiling).map(([key, value]) => `${value} ${key}`).join(', ');
