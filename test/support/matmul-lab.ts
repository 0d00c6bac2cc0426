import { isSliced, type PackedMatrix } from '../../src/kernels/matmul.ts';
import type { Op, StepShape } from '../../src/gpu/op.ts';
import { defaultTilings, type Tilings } from '../../src/kernels/tiling.ts';
import { firstDifference, type KernelLab, type Output, type Result } from './kernel-lab.ts';
import type { Random } from './random.ts';

/** Rows that x has: up to 17 tokens, and those that a lane of 8 tokens reads beyond them. */
export const MAX_ROWS = 24;

/** Steps of these numbers of tokens: below, at and above the capacity of lanes. */
export const TOKEN_COUNTS: readonly number[] = [1, 2, 3, 4, 5, 8, 9, 16, 17];

/** x of MAX_ROWS rows; about a third of it a hundred times larger than the rest, as activations are. */
export function activations(columns: number, random: Random): Float32Array<ArrayBuffer> {
  return new Float32Array(MAX_ROWS * columns).map(() => random.normal() * (random.below(3) === 0 ? 10 : 0.1));
}

/** The counts to try with a matrix: of a large one, one for each number of tokens that lanes carry. */
export function tokenCounts({ rows, columns }: PackedMatrix): readonly number[] {
  return rows * columns > 100_000 ? [1, 2, 3, 8] : TOKEN_COUNTS;
}

/** The first rows as they are, NaN behind them: what other steps left there must not matter. */
export function onlyRows(values: Float32Array, words: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(values, (value, i) => (i < words ? value : NaN));
}

export const oneTiling = (tokens: number, tiles: number, set = 16, splits = 1, series = 1): Tilings => [
  { tokens, tiles, series, set, splits },
];

/** Unlike the defaults in something: lanes across tiles, tiles at once and in series, tokens that do not divide 8, shares of k. */
const ODD = [oneTiling(1, 1, 64), oneTiling(2, 2), oneTiling(3, 2, 8, 1, 2)];
const ODD_SHARED = [oneTiling(2, 1, 8, 16), oneTiling(1, 1, 32, 3)];
const ODD_PAIRED = [oneTiling(1, 1, 64, 1, 2), oneTiling(2, 2), oneTiling(3, 1, 8, 1, 2)];
const ODD_PAIRED_SHARED = [oneTiling(2, 2, 8, 16), oneTiling(1, 1, 32, 3, 2)];

/** A configuration to compute a product, which must not show in its bits. */
export interface KernelConfig {
  readonly name: string;
  readonly subgroups: boolean;
  readonly unrolled: boolean;
  readonly tilings: Tilings;
}

/** The tilings of both kinds of adapter, and an odd one in turn; where k is not in slices, those that do not share it out. */
function someTilings(matrix: PackedMatrix, paired: boolean, turn: number): readonly Tilings[] {
  const sliced = isSliced(matrix);
  const matrixTiles = Math.ceil(matrix.rows / (4 * matrix.lanes));
  const kinds = sliced ? [true, false] : [true];
  const defaults = kinds.map((isSoftware) => defaultTilings({ isSoftware, unrolled: isSoftware, matrixTiles, paired }));
  const odd = [paired ? ODD_PAIRED : ODD, ...(sliced ? [paired ? ODD_PAIRED_SHARED : ODD_SHARED] : [])];
  return [...defaults, ...odd.map((each) => each[turn % each.length] ?? [])];
}

/** Configurations to compute an epilogue, other ones in each `turn`. */
export function someConfigs(lab: KernelLab, matrix: PackedMatrix, options: { paired?: boolean; turn?: number } = {}): KernelConfig[] {
  const { paired = false, turn = 0 } = options;
  return configsOf(lab, someTilings(matrix, paired, turn), turn);
}

/**
 * Each tiling once, x reaching the lanes by subgroups and without in turn: what a tiling and a kind have in common is the
 * template, so not all pairs of them are compiled. `turn` says which is first.
 */
export function configsOf(lab: KernelLab, all: readonly Tilings[], turn = 0): KernelConfig[] {
  const kinds = lab.gpu.hasSubgroups ? [true, false] : [false];
  return all.map((tilings, i) => {
    const subgroups = kinds[(i + turn) % kinds.length] ?? false;
    const unrolled = i % 3 === 0;
    const how = `${subgroups ? 'subgroups' : 'no subgroups'}${unrolled ? ', unrolled' : ''}`;
    return { name: `${how}, ${nameOf(tilings)}`, subgroups, unrolled, tilings };
  });
}

const nameOf = (tilings: Tilings): string =>
  tilings.map((tiling) => Object.entries(tiling).map(([key, value]) => `${value} ${key}`).join(' ')).join(' or ');

/** A configuration as ops, with outputs of its own. */
export interface LabVariant {
  readonly name: string;
  readonly ops: readonly Op[];
  readonly outputs: readonly Output[];
}

/** Runs all of them in one pass; each variant's results in the order of its outputs. */
export async function runVariants(lab: KernelLab, all: readonly LabVariant[], step: Partial<StepShape>): Promise<Result[][]> {
  const results = await lab.run(all.flatMap(({ ops }) => ops), step, all.flatMap(({ outputs }) => outputs));
  return all.map(({ outputs }) => results.splice(0, outputs.length));
}

/** The first variant whose outputs, with what it should not touch, are not the first one's to the bit. */
export function firstDeviant(all: readonly LabVariant[], results: readonly (readonly Result[])[]): string | undefined {
  for (const [i, variant] of all.entries()) {
    for (const [j, result] of (results[i] ?? []).entries()) {
      const fault = firstDifference(result, results[0]?.[j] ?? result);
      if (fault !== undefined) return `${variant.name}, output ${j}: ${fault}`;
    }
  }
  return undefined;
}

/** The first word that a step of fewer tokens got otherwise than a step of more, or touched behind its `words`. */
export function firstUnlike(result: Result, more: Result, output: Output, words: number): string | undefined {
  const at = result.bits.findIndex((word, i) => word !== (i < words ? more.bits[i] : output.before[i]));
  return at < 0 ? undefined : `word ${at} of ${words}: ${result.floats[at]}, not ${more.floats[at]}`;
}
