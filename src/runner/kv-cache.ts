import { TabserveError } from '../core/errors.ts';
import { KV_CACHE_DTYPES, type KvCacheDtype } from '../core/kv-cache-dtype.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { CacheConfig } from '../core/scheduler-output.ts';
import type { BufferPool } from '../gpu/buffers.ts';
import { layerBlockBytes } from '../kernels/rope-kv-write.ts';
import type { LayerCache } from '../models/decoder.ts';

/** Tokens a KV block. */
const BLOCK_SIZE = 16;

const DEFAULT_KV_CACHE_BYTES = 256 * 1024 * 1024;

/** Tokens below which the pool is not shrunk: a sequence of these, or of `maxModelLen` where that is less, has to fit. */
const MIN_TOKENS = 512;

/** What a user may say about the KV cache. */
export interface CacheOptions {
  readonly kvCacheBytes?: number | undefined;
  readonly kvCacheDtype?: KvCacheDtype | undefined;
  readonly maxModelLen?: number | undefined;
}

/** How large the KV cache should be, and how small it may become. */
export interface CachePlan {
  readonly dtype: KvCacheDtype;
  /** Bytes of one block over all layers, keys and values. */
  readonly blockBytes: number;
  /** Blocks that the budget holds. */
  readonly numBlocks: number;
  readonly minBlocks: number;
  /** Tokens that a sequence should have. */
  readonly maxModelLen: number;
  /** Whether it must have that many, or may have fewer where the cache is smaller. */
  readonly isMaxModelLenFixed: boolean;
}

/** The sizes that a cache came to have. */
export interface CacheSize extends CacheConfig {
  readonly maxModelLen: number;
}

/**
 * Sizes the KV cache by its budget, and a sequence by the cache and the model.
 *
 * @throws TabserveError `invalid_request` for an option that means nothing, or a budget that does not hold what was asked for.
 */
export function planCache(config: ModelConfig, options: CacheOptions): CachePlan {
  const { kvCacheBytes = DEFAULT_KV_CACHE_BYTES, kvCacheDtype: dtype = 'f32', maxModelLen } = options;
  if (!KV_CACHE_DTYPES.includes(dtype)) {
    throw invalid('kvCacheDtype', `kvCacheDtype is ${String(dtype)}; it may be ${KV_CACHE_DTYPES.join(', ')}.`);
  }
  if (!(kvCacheBytes > 0 && kvCacheBytes < Infinity)) {
    throw invalid('kvCacheBytes', `kvCacheBytes is ${kvCacheBytes}; give a number of bytes.`);
  }
  if (maxModelLen !== undefined && !(Number.isInteger(maxModelLen) && maxModelLen > 0)) {
    throw invalid('maxModelLen', `maxModelLen is ${maxModelLen}; give a number of tokens.`);
  }
  const wanted = Math.min(maxModelLen ?? config.maxPositionEmbeddings, config.maxPositionEmbeddings);
  const blockBytes = config.numLayers * 2 * layerBlockBytes({ ...config, blockSize: BLOCK_SIZE }, dtype);
  const numBlocks = Math.floor(kvCacheBytes / blockBytes);
  const capacity = numBlocks * BLOCK_SIZE;
  if (numBlocks < 1 || (maxModelLen !== undefined && capacity < wanted)) {
    const needed = blocksFor(wanted) * blockBytes;
    const message = `kvCacheBytes is ${kvCacheBytes}: room for ${capacity} tokens. ${wanted} tokens need ${needed}.`;
    throw invalid('kvCacheBytes', message);
  }
  const minBlocks = Math.min(numBlocks, blocksFor(Math.min(wanted, MIN_TOKENS)));
  return { dtype, blockBytes, numBlocks, minBlocks, maxModelLen: wanted, isMaxModelLenFixed: maxModelLen !== undefined };
}

/** Makes what else depends on the size of a KV cache, beside it. */
export type MakeBeside<T> = (buffers: BufferPool, layers: readonly LayerCache[], size: CacheSize) => T;

/** Creates a KV cache of so many blocks, and what is made beside it. */
export function createCache<T>(
  buffers: BufferPool,
  config: ModelConfig,
  plan: CachePlan,
  numBlocks: number,
  make: MakeBeside<T>,
): T {
  const bytes = numBlocks * layerBlockBytes({ ...config, blockSize: BLOCK_SIZE }, plan.dtype);
  const layers = Array.from({ length: config.numLayers }, (_, i): LayerCache => ({
    keys: buffers.create(`keys of layer ${i}`, bytes),
    values: buffers.create(`values of layer ${i}`, bytes),
  }));
  return make(buffers, layers, sizeOf(plan, numBlocks));
}

/** Blocks that the plan has at most, where no buffer may be larger than the device binds. */
export function mostBlocks(config: ModelConfig, plan: CachePlan, maxBufferBytes: number): number {
  const layerBytes = layerBlockBytes({ ...config, blockSize: BLOCK_SIZE }, plan.dtype);
  return Math.min(plan.numBlocks, Math.floor(maxBufferBytes / layerBytes));
}

/** @throws TabserveError `invalid_request` where the device binds no cache for the `maxModelLen` that was asked for */
export function requireBindable(config: ModelConfig, plan: CachePlan, maxBufferBytes: number): void {
  requireModelLen(plan, sizeOf(plan, mostBlocks(config, plan, maxBufferBytes)), bindingLimit(maxBufferBytes));
}

function bindingLimit(maxBufferBytes: number): string {
  return `a buffer of this GPU has at most ${maxBufferBytes} bytes`;
}

/** Blocks that the plan has at least; as many as a `maxModelLen` that was asked for takes. */
export function leastBlocks(plan: CachePlan): number {
  return plan.isMaxModelLenFixed ? blocksFor(plan.maxModelLen) : plan.minBlocks;
}

function sizeOf(plan: CachePlan, numBlocks: number): CacheSize {
  return { blockSize: BLOCK_SIZE, numBlocks, maxModelLen: Math.min(plan.maxModelLen, numBlocks * BLOCK_SIZE) };
}

/** A KV cache that the GPU has granted, and what was made for its size. */
export interface FittedCache<T> {
  readonly made: T;
  readonly bytes: number;
  readonly isShrunk: boolean;
  /** What was asked and what was granted, in words. */
  readonly report: string;
}

/**
 * Allocates the KV cache as planned, or as large as the budget and the GPU have it: no buffer is larger than the device
 * binds, and a pool that is refused is freed, halved and tried again, down to the plan's least. What else depends on its size is made
 * beside it by `make`, and shrinks with it.
 *
 * @throws TabserveError `out_of_memory` where not even the least is granted; `invalid_request` where what is granted
 *   does not hold the `maxModelLen` that was asked for.
 */
export async function fitCache<T>(
  buffers: BufferPool,
  config: ModelConfig,
  plan: CachePlan,
  make: MakeBeside<T>,
  budgetedBlocks = Infinity,
): Promise<FittedCache<T>> {
  const bindable = mostBlocks(config, plan, buffers.maxBytes);
  let why =
    budgetedBlocks < bindable
      ? 'the memory that models may take of the GPU (gpuMemoryBytes) has no more'
      : bindingLimit(buffers.maxBytes);
  for (const numBlocks of sizesToTry(plan, Math.min(bindable, budgetedBlocks))) {
    const outcome = await buffers.tryCreate((pool) => createCache(pool, config, plan, numBlocks, make));
    if ('made' in outcome) {
      requireModelLen(plan, sizeOf(plan, numBlocks), why);
      const isShrunk = numBlocks < plan.numBlocks;
      const report = `${reportOf(plan, numBlocks)}${isShrunk ? `: ${why}` : ''}`;
      return { made: outcome.made, bytes: numBlocks * plan.blockBytes, isShrunk, report };
    }
    why = outcome.refused.message;
  }
  throw new TabserveError(
    'out_of_memory',
    `The GPU has no room for a KV cache beside the model: of ${plan.numBlocks * plan.blockBytes} bytes asked, ` +
      `${plan.minBlocks * plan.blockBytes} are the least (${plan.minBlocks * BLOCK_SIZE} tokens). Close what else uses ` +
      `the GPU, or use a smaller model or kvCacheDtype "f16" or "int8". (${why})`,
  );
}

function reportOf({ dtype, numBlocks, blockBytes }: CachePlan, granted: number): string {
  const tokens = granted * BLOCK_SIZE;
  return `KV cache in ${dtype}: ${numBlocks * blockBytes} bytes asked, ${granted * blockBytes} granted, ${tokens} tokens`;
}

function requireModelLen(plan: CachePlan, { maxModelLen }: CacheSize, why: string): void {
  if (!plan.isMaxModelLenFixed || maxModelLen >= plan.maxModelLen) return;
  const message = `maxModelLen is ${plan.maxModelLen}, but this GPU grants a KV cache for ${maxModelLen} tokens. (${why})`;
  throw invalid('maxModelLen', message);
}

/** Numbers of blocks, largest first: what is asked, then halves, with a stop at what a fixed `maxModelLen` takes. */
function* sizesToTry(plan: CachePlan, most: number): Generator<number> {
  const needed = leastBlocks(plan);
  let numBlocks = most;
  while (numBlocks >= plan.minBlocks) {
    yield numBlocks;
    if (numBlocks === plan.minBlocks) return;
    const floor = numBlocks > needed ? needed : plan.minBlocks;
    numBlocks = Math.max(floor, Math.floor(numBlocks / 2));
  }
}

function blocksFor(tokens: number): number {
  return Math.ceil(tokens / BLOCK_SIZE);
}

function invalid(param: keyof CacheOptions, message: string): TabserveError {
  return new TabserveError('invalid_request', message, { param });
}
