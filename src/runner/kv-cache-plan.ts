import { TabserveError } from '../core/errors.ts';
import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { CutReason, LoadSettings } from '../core/protocol.ts';
import type { CacheConfig } from '../core/scheduler-output.ts';
import { layerBlockBytes } from '../kernels/rope-kv-write.ts';

/** Tokens a KV block. */
export const BLOCK_SIZE = 16;

/** Tokens below which the pool is not shrunk: a sequence of these, or of `maxModelLen` where that is less, has to fit. */
const MIN_TOKENS = 512;

/** An automatic cache holds so many sequences, */
const AUTO_SEQUENCES = 4;
/** of so many tokens each, or the model's context where that is less, */
export const AUTO_TOKENS = 8192;
/** or all that run at once, as far as so many bytes hold them, */
const AUTO_BATCH_BYTES = 256 * 2 ** 20;
/** within this part of what all models may take of the GPU's memory, */
const AUTO_SHARE = 1 / 4;
/** and within so many bytes on a software adapter, where the CPU's memory is used and zeroed, */
const AUTO_SOFTWARE_BYTES = 256 * 2 ** 20;
/** but always one sequence of so many tokens, or the model's context where that is less. */
const AUTO_LEAST_TOKENS = 4096;

/** What a user may say about the KV cache. */
export type CacheOptions = { readonly [Name in 'kvCacheBytes' | 'kvCacheDtype' | 'maxModelLen']?: LoadSettings[Name] | undefined };

/** What an automatic cache is sized by, beside the model. */
export interface Machine {
  /** Bytes that all models may take of the GPU's memory. */
  readonly gpuMemoryBytes: number;
  readonly isSoftware: boolean;
  /** Sequences that run at once. */
  readonly maxNumSeqs: number;
}

/** Why something is less than it should be. */
export interface CacheCut {
  readonly reason: CutReason;
  /** In words. */
  readonly why: string;
}

/** How large the KV cache should be, and how small it may become. */
export interface CachePlan {
  readonly dtype: KvCacheDtype;
  /** Bytes of one block over all layers, keys and values. */
  readonly blockBytes: number;
  readonly isAuto: boolean;
  /** Blocks that were asked for, or that an automatic cache takes where there is room. */
  readonly numBlocks: number;
  /** What they go by, in words. */
  readonly why: string;
  /** Why an automatic cache is not to have all that it would take; undefined where it is, or a size was asked for. */
  readonly cut: CutReason | undefined;
  /** Blocks for which models that have nothing to do are unloaded; for more than these none is. */
  readonly enoughBlocks: number;
  readonly minBlocks: number;
  /** The model's own context, in tokens. */
  readonly contextLength: number;
  /** Tokens that a sequence should have. */
  readonly maxModelLen: number;
  /** Why that is less than the model and the options say, where the cache is not the reason. */
  readonly lengthCut: CacheCut | undefined;
  /** Whether it must have that many, or may have fewer where the cache is smaller. */
  readonly isMaxModelLenFixed: boolean;
}

/** The sizes that a cache came to have. */
export interface CacheSize extends CacheConfig {
  readonly maxModelLen: number;
}

/**
 * Sizes the KV cache by what was asked for, or by the machine, and a sequence by the cache and the model. The options are
 * checked already.
 *
 * @throws TabserveError `invalid_request` for bytes that do not hold a block, or the `maxModelLen` that was asked for
 */
export function planCache(config: ModelConfig, options: CacheOptions, machine: Machine): CachePlan {
  const { kvCacheBytes = 'auto', kvCacheDtype: dtype = 'f32', maxModelLen: asked } = options;
  const contextLength = config.maxPositionEmbeddings;
  const length = { maxModelLen: Math.min(asked ?? contextLength, contextLength), isMaxModelLenFixed: asked !== undefined };
  const blockBytes = config.numLayers * 2 * layerBlockBytes({ ...config, blockSize: BLOCK_SIZE }, dtype);
  const isAuto = kvCacheBytes === 'auto';
  const size = isAuto ? autoSize(length, blockBytes, machine) : sizeAsAsked(length, blockBytes, kvCacheBytes);
  const minBlocks = Math.min(size.numBlocks, blocksFor(Math.min(length.maxModelLen, MIN_TOKENS)));
  return { dtype, blockBytes, isAuto, ...size, minBlocks, contextLength, ...length, lengthCut: undefined };
}

type Length = Pick<CachePlan, 'maxModelLen' | 'isMaxModelLenFixed'>;
type Size = Pick<CachePlan, 'numBlocks' | 'why' | 'cut' | 'enoughBlocks'>;

function autoSize({ maxModelLen, isMaxModelLenFixed }: Length, blockBytes: number, machine: Machine): Size {
  const tokens = Math.min(maxModelLen, AUTO_TOKENS);
  const each = blocksFor(tokens);
  const least = isMaxModelLenFixed ? maxModelLen : Math.min(maxModelLen, AUTO_LEAST_TOKENS);
  const enoughBlocks = blocksFor(least);
  const whole = Math.max(enoughBlocks, AUTO_SEQUENCES * each);
  const batch = Math.min(machine.maxNumSeqs * each, Math.floor(AUTO_BATCH_BYTES / blockBytes));
  const most = mostBytes(machine);
  const allowed = Math.floor(most.bytes / blockBytes);
  const numBlocks = Math.max(enoughBlocks, Math.min(allowed, Math.max(whole, batch)));
  const sequences = `${Math.floor(numBlocks / each)} sequences of ${count(tokens)} tokens`;
  if (numBlocks >= whole) return { numBlocks, enoughBlocks, cut: undefined, why: sequences };
  const why = allowed < enoughBlocks ? `one sequence of ${count(least)} tokens; ${most.why} is less` : most.why;
  return { numBlocks, enoughBlocks, cut: most.reason, why };
}

/** What an automatic cache takes of a machine. */
function mostBytes({ gpuMemoryBytes, isSoftware }: Machine): CacheCut & { readonly bytes: number } {
  const bytes = gpuMemoryBytes * AUTO_SHARE;
  if (!isSoftware || bytes < AUTO_SOFTWARE_BYTES) {
    return { bytes, reason: 'gpu_memory_share', why: `a quarter of the ${mib(gpuMemoryBytes)} of gpuMemoryBytes` };
  }
  return { bytes: AUTO_SOFTWARE_BYTES, reason: 'software_adapter', why: `${mib(AUTO_SOFTWARE_BYTES)} of a software adapter` };
}

function sizeAsAsked({ maxModelLen, isMaxModelLenFixed }: Length, blockBytes: number, kvCacheBytes: number): Size {
  const numBlocks = Math.floor(kvCacheBytes / blockBytes);
  const capacity = numBlocks * BLOCK_SIZE;
  if (numBlocks < 1 || (isMaxModelLenFixed && capacity < maxModelLen)) {
    const needed = blocksFor(maxModelLen) * blockBytes;
    const message = `kvCacheBytes is ${kvCacheBytes}: room for ${capacity} tokens. ${maxModelLen} tokens need ${needed}.`;
    throw new TabserveError('invalid_request', message, { param: 'kvCacheBytes' });
  }
  return { numBlocks, enoughBlocks: numBlocks, cut: undefined, why: 'as kvCacheBytes says' };
}

/** Blocks that the plan has at most, where no buffer may be larger than the device binds. */
export function mostBlocks(config: ModelConfig, plan: CachePlan, maxBufferBytes: number): number {
  const layerBytes = layerBlockBytes({ ...config, blockSize: BLOCK_SIZE }, plan.dtype);
  return Math.min(plan.numBlocks, Math.floor(maxBufferBytes / layerBytes));
}

/** Blocks that the plan has at least; as many as a `maxModelLen` that was asked for takes. */
export function leastBlocks(plan: CachePlan): number {
  return plan.isMaxModelLenFixed ? blocksFor(plan.maxModelLen) : plan.minBlocks;
}

/** What a cache of so many blocks comes to. */
export function sizeOf(plan: CachePlan, numBlocks: number): CacheSize {
  return { blockSize: BLOCK_SIZE, numBlocks, maxModelLen: Math.min(plan.maxModelLen, numBlocks * BLOCK_SIZE) };
}

/** @throws TabserveError `invalid_request` where a cache has less than the `maxModelLen` that was asked for */
export function requireModelLen(plan: CachePlan, maxModelLen: number, why: string): void {
  if (!plan.isMaxModelLenFixed || maxModelLen >= plan.maxModelLen) return;
  const message = `maxModelLen is ${plan.maxModelLen}, but this GPU grants a KV cache for ${maxModelLen} tokens. (${why})`;
  throw new TabserveError('invalid_request', message, { param: 'maxModelLen' });
}

/** In words. */
export function bindingLimit(maxBufferBytes: number): string {
  return `a buffer of this GPU has at most ${maxBufferBytes} bytes`;
}

/** For people. */
export function mib(bytes: number): string {
  return `${count(Math.ceil(bytes / 2 ** 20))} MiB`;
}

/** For people. */
export function count(tokens: number): string {
  return tokens.toLocaleString('en');
}

function blocksFor(tokens: number): number {
  return Math.ceil(tokens / BLOCK_SIZE);
}
