import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import { constants, type ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder, StepShape } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { layerBlockBytes } from './rope-kv-write.ts';
import { shader } from './shaders.ts';

/** SPLIT of attention.wgsl: tokens of the context that one workgroup takes. Fixed, so that numbers do not depend on load. */
export const ATTENTION_SPLIT = 128;

export const ATTENTION = defineKernel({
  name: 'attention',
  bindings: {
    queries: 'read',
    keys: 'read',
    values: 'read',
    rows: 'read',
    blockTables: 'read',
    tiles: 'read',
    partials: 'read_write',
    y: 'read_write',
  },
  overrides: [
    'NUM_HEADS',
    'NUM_KV_HEADS',
    'HEAD_SIZE',
    'BLOCK_SIZE',
    'MAX_BLOCKS',
    'MAX_SPLITS',
    'SCALE',
    'CLASS_LANES',
    'VECTOR_LANES',
  ],
});

export const ATTENTION_MERGE = defineKernel({
  name: 'attention-merge',
  bindings: { partials: 'read', rows: 'read', y: 'read_write', counts: 'uniform' },
  overrides: ['NUM_HEADS', 'HEAD_SIZE', 'MAX_SPLITS'],
});

/** The shape of a model's attention over a paged cache. */
export interface AttentionShape {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly blockSize: number;
  /** Blocks a sequence may have: the width of the block tables. */
  readonly maxBlocks: number;
}

/** How many splits the longest sequence has. */
export function maxSplits({ maxBlocks, blockSize }: AttentionShape): number {
  return Math.ceil((maxBlocks * blockSize) / ATTENTION_SPLIT);
}

/** Bytes of partial results for `rows` rows. */
export function partialsBytes(shape: AttentionShape, rows: number): number {
  return rows * shape.numHeads * maxSplits(shape) * (shape.headSize + 4) * 4;
}

/** Words of a step's partial results, one of each split that a row has at least a part of. */
function partialWords({ numHeads, headSize }: AttentionShape, { tokens, attendedTokens }: StepShape): number {
  return Math.max(tokens, attendedTokens / ATTENTION_SPLIT) * numHeads * (headSize + 4);
}

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

export interface AttentionArgs extends AttentionShape {
  readonly attentionLanes: AttentionLanes;
  readonly kvCacheDtype: KvCacheDtype;
  readonly subgroups: boolean;
  /** As rope-kv-write leaves them. */
  readonly queries: BufferRange;
  readonly keys: BufferRange;
  readonly values: BufferRange;
  readonly rows: BufferRange;
  readonly blockTables: BufferRange;
  /** `step.singles` tiles of one row, and `step.tiles` of several; TILE_BYTES each. */
  readonly singles: BufferRange;
  readonly tiles: BufferRange;
  /** {@link partialsBytes} bytes. */
  readonly partials: BufferRange;
  /** `[rows][numHeads][headSize]` f32. */
  readonly y: BufferRange;
  readonly counts: BufferRange;
}

/** The modules of a variant that takes `rows` rows a tile. */
export function attentionModules(
  args: Omit<AttentionArgs, 'rows' | 'blockTables' | 'singles' | 'tiles' | 'y' | 'counts'>,
  rows: number,
): readonly ShaderModule[] {
  const { numHeads, numKvHeads, headSize, kvCacheDtype, subgroups, queries, keys, values, partials } = args;
  const { classLanes, vectorLanes, isFlat } = args.attentionLanes;
  const heads = Math.min(4, numHeads / numKvHeads);
  const lanes = classLanes * vectorLanes;
  const exchanges = !subgroups || classLanes > 1;
  const counts = {
    ROWS: rows,
    HEADS: heads,
    STEPS: Math.ceil(headSize / 16),
    VECTORS: Math.ceil(headSize / 4 / vectorLanes),
    FLAT: isFlat,
    SEVERAL_ROWS: rows > 1,
  };
  const sizes = constants('sizes', {
    LANES: lanes,
    QUADS: lanes / 4,
    GROUP: numHeads / numKvHeads,
    BLOCK_SHIFT: Math.log2(args.blockSize),
    ROWS: rows,
    HEADS: heads,
    VECTORS: counts.VECTORS,
    OUTPUTS: rows * heads * counts.VECTORS,
    SCORES: rows * heads * ATTENTION_SPLIT,
    EXCHANGED: exchanges ? heads * lanes : lanes / 4,
    QUERIES: queries.size / 16,
    KEYS: keys.size / 16,
    VALUES: values.size / 16,
    PARTIALS: partials.size / 16,
  });
  const files = [
    'attention',
    `kv-read/${kvCacheDtype}`,
    `quads/${subgroups ? 'subgroup' : 'workgroup'}`,
    `lanes/${subgroups && lanes === 4 ? 'one-quad' : 'many'}`,
    `classes/${classLanes === 1 ? 'own' : 'shared'}`,
  ];
  return [sizes, ...files.map((path) => ({ ...shader(path), values: counts }))];
}

/**
 * Causal attention of every row over its own request's blocks: the splits of rows alone, those of rows in tiles, then, of
 * both, the merge of rows that have several.
 */
export function attention(builder: OpBuilder, args: AttentionArgs): readonly [Op, Op, Op] {
  const { numHeads, numKvHeads, headSize, attentionLanes } = args;
  const common = { NUM_HEADS: numHeads, HEAD_SIZE: headSize, MAX_SPLITS: maxSplits(args) };
  const overrides = {
    ...common,
    NUM_KV_HEADS: numKvHeads,
    BLOCK_SIZE: args.blockSize,
    MAX_BLOCKS: args.maxBlocks,
    SCALE: 1 / Math.sqrt(headSize),
    CLASS_LANES: attentionLanes.classLanes,
    VECTOR_LANES: attentionLanes.vectorLanes,
  };
  const fours = numKvHeads * Math.ceil(numHeads / numKvHeads / 4);
  const { queries, keys, values, rows, blockTables, partials, y, counts } = args;
  const splits = (name: string, tileRows: number, tiles: BufferRange, count: (step: StepShape) => number): Op => {
    const rowsOf = (step: StepShape): number => (tileRows === 1 ? step.singles : step.tokens - step.singles);
    const key = builder.variant(ATTENTION, attentionModules(args, tileRows), overrides);
    return {
      name,
      bindGroup: builder.bind(ATTENTION, { queries, keys, values, rows, blockTables, tiles, partials, y }),
      pipeline: () => builder.pipeline(key),
      grid: (step) => [count(step), fours, Math.ceil(step.maxContext / ATTENTION_SPLIT)],
      // In a step that has rows of both kinds, each kind's share by its rows.
      cost: (step) => {
        const share = rowsOf(step) / step.tokens;
        const kv = (2 * step.contextTokens * layerBlockBytes(args, args.kvCacheDtype)) / args.blockSize;
        const words = step.tokens * numHeads * headSize + partialWords(args, step);
        const macs = 2 * step.attendedTokens * numHeads * headSize;
        return cost({ words: share * words, bytes: share * kv, macs: share * macs });
      },
    };
  };
  const merge = builder.variant(ATTENTION_MERGE, [shader('attention-merge')], common);
  return [
    splits('attention', 1, args.singles, (step) => step.singles),
    splits('attention-tiled', attentionLanes.tileRows, args.tiles, (step) => step.tiles),
    {
      name: 'attention-merge',
      bindGroup: builder.bind(ATTENTION_MERGE, { partials, rows, y, counts }),
      pipeline: () => builder.pipeline(merge),
      grid: ({ tokens, maxContext }) =>
        maxContext > ATTENTION_SPLIT ? [Math.ceil((numHeads * headSize) / 4 / 64), tokens, 1] : [0, 1, 1],
      cost: (step) => cost({ words: partialWords(args, step) + step.tokens * numHeads * headSize }),
    },
  ];
}
