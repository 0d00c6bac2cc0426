import type { ModelConfig } from '../core/model-config.ts';

/** How attention is spread over lanes: no part of the numerics. */
export interface AttentionLanes {
  /** Among how many lanes the tokens of a split are divided when values are added up. */
  readonly classLanes: 1 | 4;
  /** Among how many lanes a head's vectors of 4 elements are divided; a multiple of 4. A workgroup has classLanes times these. */
  readonly vectorLanes: number;
  /** Rows of one request that share the keys and values they load, at most. */
  readonly tileRows: number;
  /** Whether queries are kept in registers, for which their loops are unrolled, or loaded as they are needed. */
  readonly isFlat: boolean;
}

/** What the choice of lanes depends on. */
export type Heads = Pick<ModelConfig, 'numHeads' | 'numKvHeads' | 'headSize'>;

/**
 * A software adapter runs a workgroup's lanes in one thread, 4 at a time; what does not fit its registers costs it less
 * than loads do, and barriers much. The text grows with a tile's elements, and with it the time to compile.
 */
export function defaultLanes(isSoftware: boolean, { headSize, numHeads, numKvHeads }: Heads): AttentionLanes {
  const elements = Math.min(4, numHeads / numKvHeads) * headSize;
  return isSoftware
    ? { classLanes: 1, vectorLanes: 4, tileRows: elements > 192 ? 2 : 4, isFlat: true }
    : { classLanes: 4, vectorLanes: 16, tileRows: headSize > 128 ? 2 : 4, isFlat: false };
}

/** A GPU would leave most of itself idle with fewer lanes a workgroup. */
const LEAST_LANES = 16;
/** Elements of queries that a lane may hold in registers, of all heads and rows. */
const MOST_QUERIES = 128;

/** Other lanes worth a trial where `rows` rows are taken at once; as many rows a tile as the default has. */
export function candidateLanes(isSoftware: boolean, heads: Heads, rows: number): readonly AttentionLanes[] {
  const { headSize, numHeads, numKvHeads } = heads;
  const { tileRows } = defaultLanes(isSoftware, heads);
  const queries = (rows * Math.min(4, numHeads / numKvHeads) * headSize) / 4;
  const most = 4 * Math.ceil(headSize / 16); // lanes that have a vector
  return ([1, 4] as const).flatMap((classLanes) =>
    [4, 8, 16, 32]
      .filter((vectorLanes) => vectorLanes <= most && (isSoftware || classLanes * vectorLanes >= LEAST_LANES))
      .flatMap((vectorLanes) =>
        (queries <= MOST_QUERIES ? [false, true] : [false]).map((isFlat) => ({ classLanes, vectorLanes, tileRows, isFlat })),
      ),
  );
}

/** The same from one load to the next. */
export function nameOfLanes({ classLanes, vectorLanes, isFlat }: AttentionLanes): string {
  return `${classLanes} x ${vectorLanes} lanes${isFlat ? ', queries in registers' : ''}`;
}
