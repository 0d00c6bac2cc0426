import type { ModelConfig } from '../core/model-config.ts';

/** How attention is spread over lanes. It does not change the results, but for `isFlat`. */
export interface AttentionLanes {
  /** The number of lanes among which the tokens of a split are divided when values are summed. */
  readonly classLanes: 1 | 4;
  /**
   * The number of lanes among which a head's vectors of 4 elements are divided; a multiple of 4. A workgroup has
   * classLanes * vectorLanes lanes.
   */
  readonly vectorLanes: number;
  /** The most rows of one request that share the keys and values they load. */
  readonly tileRows: number;
  /**
   * Whether queries are kept in private memory, with unrolled loops, or loaded when needed. The two forms may differ in their
   * last bits: a model has one.
   */
  readonly isFlat: boolean;
}

/** The inputs of the choice of lanes. */
export type Heads = Pick<ModelConfig, 'numHeads' | 'numKvHeads' | 'headSize'>;

/**
 * A software adapter runs a workgroup's lanes in one thread, 4 at a time. For it, spilled registers cost less than
 * loads, and barriers cost much. The text grows with a tile's elements, and the time to compile grows with the text.
 */
export function defaultLanes(isSoftware: boolean, { headSize, numHeads, numKvHeads }: Heads): AttentionLanes {
  const elements = Math.min(4, numHeads / numKvHeads) * headSize;
  return isSoftware
    ? { classLanes: 1, vectorLanes: 4, tileRows: elements > 192 ? 2 : 4, isFlat: true }
    : { classLanes: 4, vectorLanes: 16, tileRows: headSize > 128 ? 2 : 4, isFlat: false };
}

/** With fewer lanes in a workgroup, most of a GPU is idle. */
const LEAST_LANES = 16;

/**
 * A software adapter's candidates have no barriers in the sum of values. In a trial that is not kept, on SwiftShader in Node, those with 4 lanes for the classes take
 * 1.7 to 4.4 times the default's time, and those with 16 for the vectors 1.5 times: each would only cost its compilation.
 */
const SOFTWARE_LANES = { classLanes: [1], vectorLanes: [4, 8] } as const;
const GPU_LANES = { classLanes: [1, 4], vectorLanes: [4, 8, 16, 32] } as const;

/**
 * Other lanes worth a trial. As many rows a tile as the default has, and unrolled or not as the default is: WGSL lets a compiler
 * add a long sum in another order (section 15.7, floating point evaluation), so that the two forms may differ in their last bits.
 * Those with the most lanes come first: a step of few rows leaves most of a GPU idle.
 */
export function candidateLanes(isSoftware: boolean, heads: Heads): readonly AttentionLanes[] {
  const initial = defaultLanes(isSoftware, heads);
  const most = 4 * Math.ceil(heads.headSize / 16); // lanes that have a vector
  const tried = isSoftware ? SOFTWARE_LANES : GPU_LANES;
  return tried.classLanes.flatMap((classLanes) =>
    tried.vectorLanes
      .filter((vectorLanes) => vectorLanes <= most && (isSoftware || classLanes * vectorLanes >= LEAST_LANES))
      .map((vectorLanes) => ({ ...initial, classLanes, vectorLanes })),
  ).toSorted((a, b) => b.classLanes * b.vectorLanes - a.classLanes * a.vectorLanes);
}

/** The same from one load to the next. */
export function nameOfLanes({ classLanes, vectorLanes, isFlat }: AttentionLanes): string {
  return `${classLanes} x ${vectorLanes} lanes${isFlat ? ', queries in registers' : ''}`;
}
