import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
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
    partials: 'read_write',
  },
  overrides: ['NUM_HEADS', 'NUM_KV_HEADS', 'HEAD_SIZE', 'BLOCK_SIZE', 'MAX_BLOCKS', 'MAX_SPLITS', 'SCALE', 'LANES', 'SHARED_OUTPUTS'],
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

export interface AttentionArgs extends AttentionShape {
  /** Lanes of a workgroup, where a head has no more vectors; part of the numerics. */
  readonly attentionLanes: number;
  readonly kvCacheDtype: KvCacheDtype;
  /** As rope-kv-write leaves them. */
  readonly queries: BufferRange;
  readonly keys: BufferRange;
  readonly values: BufferRange;
  readonly rows: BufferRange;
  readonly blockTables: BufferRange;
  /** {@link partialsBytes} bytes. */
  readonly partials: BufferRange;
  /** `[rows][numHeads][headSize]` f32. */
  readonly y: BufferRange;
  readonly counts: BufferRange;
}

/** Causal attention of every row over its own request's blocks: the splits, then their merge. */
export function attention(builder: OpBuilder, args: AttentionArgs): readonly [Op, Op] {
  const { numHeads, numKvHeads, headSize, blockSize, maxBlocks } = args;
  const lanes = Math.max(args.attentionLanes, 2 ** Math.ceil(Math.log2(headSize / 4)));
  const common = { NUM_HEADS: numHeads, HEAD_SIZE: headSize, MAX_SPLITS: maxSplits(args) };
  const split = builder.variant(ATTENTION, [shader('attention'), shader(`kv-read/${args.kvCacheDtype}`)], {
    ...common,
    NUM_KV_HEADS: numKvHeads,
    BLOCK_SIZE: blockSize,
    MAX_BLOCKS: maxBlocks,
    SCALE: 1 / Math.sqrt(headSize),
    LANES: lanes,
    SHARED_OUTPUTS: lanes === headSize / 4 ? 1 : 4 * lanes,
  });
  const merge = builder.variant(ATTENTION_MERGE, [shader('attention-merge')], common);
  const { queries, keys, values, rows, blockTables, partials, y, counts } = args;
  return [
    {
      name: 'attention',
      bindGroup: builder.bind(ATTENTION, { queries, keys, values, rows, blockTables, partials }),
      pipeline: () => builder.pipeline(split),
      grid: (step) => [step.tokens, numKvHeads, Math.ceil(step.maxContext / ATTENTION_SPLIT)],
      cost: (step) => {
        const kv = (2 * step.contextTokens * layerBlockBytes(args, args.kvCacheDtype)) / blockSize;
        const words = step.tokens * numHeads * headSize + partialWords(args, step);
        return cost({ words, bytes: kv, macs: 2 * step.attendedTokens * numHeads * headSize });
      },
    },
    {
      name: 'attention-merge',
      bindGroup: builder.bind(ATTENTION_MERGE, { partials, rows, y, counts }),
      pipeline: () => builder.pipeline(merge),
      grid: (step) => [Math.ceil((numHeads * headSize) / 4 / 64), step.tokens, 1],
      cost: (step) => cost({ words: partialWords(args, step) + step.tokens * numHeads * headSize }),
    },
  ];
}
