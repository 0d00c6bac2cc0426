import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import { numPartialsAt } from '../core/partials.ts';
import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import { constants, type ShaderModule } from '../gpu/link.ts';
import type { Variant } from '../gpu/variant-set.ts';
import type { Grid, Op, OpBuilder, OpCost, StepShape } from '../gpu/op.ts';
import { type AttentionLanes, nameOfLanes } from './attention-lanes.ts';
import { attentionMerge, mergeOverrides } from './attention-merge.ts';
import { attentionCheck, cacheNumbers } from './check-scenes.ts';
import { cost } from './cost.ts';
import { layerBlockBytes } from './rope-kv-write.ts';
import { shader } from './shaders.ts';
import { ATTENTION_SPLIT, attentionWords, MAX_PARTIALS, ROW_BYTES } from './step-inputs.ts';

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
    'Y_STRIDE',
    'SCALE',
    'CLASS_LANES',
    'VECTOR_LANES',
  ],
});

/** The shape of a model's attention over a paged cache. */
export interface AttentionShape {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly blockSize: number;
  /** The most blocks of a sequence: the width of the block tables. */
  readonly maxBlocks: number;
}

/** The number of splits of the longest sequence. */
function maxSplits({ maxBlocks, blockSize }: Pick<AttentionShape, 'maxBlocks' | 'blockSize'>): number {
  return Math.ceil((maxBlocks * blockSize) / ATTENTION_SPLIT);
}

/** Bytes of `numPartials` partial results, of all heads: of a split of a row whose context is several. */
export function partialsBytes({ numHeads, headSize }: Pick<AttentionShape, 'numHeads' | 'headSize'>, numPartials: number): number {
  return numPartials * numHeads * (headSize + 4) * 4;
}

/** Bytes of partial results, unless those of one row take more. */
const PARTIALS_LIMIT = 60 * 2 ** 20;

/**
 * The partial results that a step of `rows` rows has room for: all that they may have, or as many as take 60 MiB; at least
 * those of one row. The scheduler plans steps that have no more.
 */
export function maxPartials(shape: AttentionShape, rows: number): number {
  const within = Math.floor(PARTIALS_LIMIT / partialsBytes(shape, 1));
  return Math.max(Math.min(rows * maxSplits(shape), within, MAX_PARTIALS), maxSplits(shape));
}

type AttendedTokens = Pick<StepShape, 'tokens' | 'contextTokens' | 'attendedTokens'>;

/** Words of a step's partial results: one result for each split of which a row attends to at least a part. */
function partialWords({ numHeads, headSize }: AttentionShape, { tokens, attendedTokens }: AttendedTokens): number {
  return Math.max(tokens, attendedTokens / ATTENTION_SPLIT) * numHeads * (headSize + 4);
}

export interface AttentionArgs extends AttentionShape {
  readonly attentionLanes: AttentionLanes;
  /** Other lanes worth a trial. @default none */
  readonly attentionCandidates?: readonly AttentionLanes[] | undefined;
  /** Whether the kernel of tiles of several rows is deferred: until it is compiled each row is a tile. @default false */
  readonly deferTiles?: boolean;
  readonly kvCacheDtype: KvCacheDtype;
  readonly subgroups: boolean;
  /** The output of rope-kv-write. */
  readonly queries: BufferRange;
  readonly keys: BufferRange;
  readonly values: BufferRange;
  readonly rows: BufferRange;
  readonly blockTables: BufferRange;
  /** `step.singles` tiles of one row, then `step.tiles` of several; TILE_BYTES each. */
  readonly singles: BufferRange;
  readonly tiles: BufferRange;
  /** {@link partialsBytes} bytes for the partial results of a step's rows; they are where the rows' {@link attentionWord} says. */
  readonly partials: BufferRange;
  /** `[rows][yStride]` f32; `[numHeads][headSize]` of a row are written. */
  readonly y: BufferRange;
  /** A multiple of 4. @default numHeads * headSize */
  readonly yStride?: number;
  readonly counts: BufferRange;
}

/** The modules of a variant that takes `rows` rows a tile. */
export function attentionModules(
  args: Omit<AttentionArgs, 'attentionLanes' | 'rows' | 'blockTables' | 'singles' | 'tiles' | 'y' | 'counts'>,
  { classLanes, vectorLanes, isFlat }: AttentionLanes,
  rows: number,
): readonly ShaderModule[] {
  const { numHeads, numKvHeads, headSize, kvCacheDtype, subgroups, queries, keys, values, partials } = args;
  const heads = Math.min(4, numHeads / numKvHeads);
  const lanes = classLanes * vectorLanes;
  const exchanges = !subgroups || classLanes > 1;
  const counts = {
    ROWS: rows,
    HEADS: heads,
    STEPS: Math.ceil(headSize / 16),
    VECTORS: Math.ceil(headSize / 4 / vectorLanes),
    SEVERAL_ROWS: rows > 1,
  };
  const sizes = constants('sizes', {
    LANES: lanes,
    QUADS: lanes / 4,
    GROUP: numHeads / numKvHeads,
    BLOCK_SHIFT: Math.log2(args.blockSize),
    ROWS: rows,
    HEADS: heads,
    STEPS: counts.STEPS,
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
    'common/attention-values',
    'common/partials',
    `scores/${isFlat ? 'flat' : 'looped'}`,
    `kv-read/${kvCacheDtype}`,
    `quads/${subgroups ? 'subgroup' : 'workgroup'}`,
    `lanes/${subgroups && lanes === 4 ? 'one-quad' : 'many'}`,
    `classes/${classLanes === 1 ? 'own' : 'shared'}`,
  ];
  return [sizes, ...files.map((path) => ({ ...shader(path), values: counts }))];
}

/**
 * Causal attention of every row over its own request's blocks, in three ops: the splits of single rows, the splits of
 * rows in tiles, and the merge of the rows that have several splits.
 */
export function attention(builder: OpBuilder, args: AttentionArgs): readonly [Op, Op, Op] {
  const { singles, tiles, attentionLanes } = args;
  const family = {};
  return [
    splits(builder, args, { name: 'attention', tileRows: 1, tiles: singles, family, count: (step) => step.singles }),
    splits(builder, args, {
      name: 'attention-tiled',
      tileRows: attentionLanes.tileRows,
      tiles,
      family,
      count: (step) => step.tiles,
    }),
    attentionMerge(builder, { ...args, ...attentionLanes }, (step) => partialWords(args, step)),
  ];
}

/** The tiles of one dispatch. */
interface Tiles {
  readonly name: string;
  readonly tileRows: number;
  readonly tiles: BufferRange;
  readonly family: object;
  readonly count: (step: StepShape) => number;
}

function splits(builder: OpBuilder, args: AttentionArgs, { name, tileRows, tiles, family, count }: Tiles): Op {
  const { numHeads, numKvHeads, headSize, attentionLanes, attentionCandidates = [], deferTiles = false } = args;
  const { queries, keys, values, rows, blockTables, partials, y } = args;
  const buffers = { queries, keys, values, rows, blockTables, tiles, partials, y };
  const fours = numKvHeads * Math.ceil(numHeads / numKvHeads / 4);
  const gridOf = (tileCount: number, context: number): Grid => [tileCount, fours, Math.ceil(context / ATTENTION_SPLIT)];
  const scene = trialScene(args, tileRows);
  const check = attentionCheck(args, numBlocksOf(args), tileRows, rows.size / ROW_BYTES);
  const variantOf = (lanes: AttentionLanes): Variant => ({
    name: nameOfLanes(lanes),
    detail: undefined,
    modules: attentionModules(args, lanes, tileRows),
    overrides: overridesOf(args, lanes),
    trialGrid: gridOf(scene.tiles, scene.context),
    checkGrid: gridOf(check.tiles, check.maxContext),
  });
  const costOf = (step: AttendedTokens): OpCost => {
    const words = step.tokens * numHeads * headSize + partialWords(args, step);
    const kv = (2 * step.contextTokens * layerBlockBytes(args, args.kvCacheDtype)) / args.blockSize;
    return cost({ words, bytes: kv, macs: 2 * step.attendedTokens * numHeads * headSize });
  };
  const variantSet = builder.variantSet({
    name: `${name}-${args.kvCacheDtype}-${numHeads}x${headSize}`,
    spec: ATTENTION,
    tokens: tileRows,
    initial: variantOf(attentionLanes),
    isDeferred: deferTiles && tileRows > 1,
    candidates: () => attentionCandidates.map(variantOf),
    trialInputs: scene.inputs,
    trialStep: { tokens: scene.tokens, bytes: costOf(scene).bytes },
    family,
    checkScene: () => {
      const outputs = { partials: partials.size, y: check.rows * (args.yStride ?? numHeads * headSize) * 4 };
      return { words: check.words(), numbers: cacheNumbers(args.kvCacheDtype), outputs };
    },
  });
  variantSet.buffers.push(buffers);
  const rowsOf = (step: StepShape): number => (tileRows === 1 ? step.singles : step.tokens - step.singles);
  return {
    name,
    bindGroup: builder.bind(ATTENTION, buffers),
    pipeline: () => variantSet.pipeline,
    grid: (step) => {
      // No more than one row of a request is sampled: rows beyond are of a prompt, and would be in tiles.
      if (!variantSet.isReady && step.tokens > step.samples) variantSet.miss();
      return gridOf(count(step), step.maxContext);
    },
    // In a step with rows of both kinds, each kind has a share in proportion to its rows.
    cost: (step) => {
      const share = rowsOf(step) / step.tokens;
      const { bytes, macs } = costOf(step);
      return { bytes: share * bytes, macs: share * macs };
    },
  };
}

function overridesOf(args: AttentionArgs, { classLanes, vectorLanes }: AttentionLanes) {
  return {
    ...mergeOverrides(args),
    NUM_KV_HEADS: args.numKvHeads,
    BLOCK_SIZE: args.blockSize,
    MAX_BLOCKS: args.maxBlocks,
    SCALE: 1 / Math.sqrt(args.headSize),
    CLASS_LANES: classLanes,
    VECTOR_LANES: vectorLanes,
  };
}

/** The most tokens that a row attends to in a trial, and the most rows of a trial of tiles. */
const TRIAL_CONTEXT = 512;
const TRIAL_ROWS = 64;

/** The inputs of a trial: one row, or tiles of one request's last rows, whatever its blocks hold. */
function trialScene(args: AttentionArgs, tileRows: number) {
  const { blockSize, maxBlocks } = args;
  const context = Math.min(TRIAL_CONTEXT, maxBlocks * blockSize);
  const splits = numPartialsAt(context - 1, ATTENTION_SPLIT);
  const room = Math.floor(args.partials.size / partialsBytes(args, Math.max(1, splits)));
  const most = Math.min(TRIAL_ROWS, context, room, Math.floor(args.rows.size / ROW_BYTES));
  const tiles = tileRows === 1 ? 1 : Math.max(1, Math.floor(most / tileRows));
  const tokens = tiles * tileRows;
  const numBlocks = numBlocksOf(args);
  const inputs = () => {
    const rows = Array.from({ length: tokens }, (_, i) => ({ position: context - tokens + i, table: 0 }));
    const words = attentionWords(rows);
    return {
      rows: new Uint32Array(rows.flatMap(({ position }, i) => [0, position, 0, words[i] ?? 0])),
      blockTables: Uint32Array.from({ length: maxBlocks }, (_, i) => i % numBlocks),
      tiles: new Uint32Array(Array.from({ length: tiles }, (_, i) => [i * tileRows, tileRows]).flat()),
    };
  };
  return { tiles, context, tokens, contextTokens: context, attendedTokens: tokens * context, inputs };
}

/** The blocks of the KV cache. */
function numBlocksOf(args: AttentionArgs): number {
  return args.keys.size / layerBlockBytes(args, args.kvCacheDtype);
}
