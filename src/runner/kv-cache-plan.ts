import { TabserveError } from '../core/errors.ts';
import { type KvCacheDtype, kvCacheDtypeOf } from '../core/kv-cache-dtype.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { CutReason, LoadSettings } from '../core/load-settings.ts';
import type { CacheConfig } from '../core/scheduler-output.ts';
import { layerBlockBytes } from '../kernels/rope-kv-write.ts';

/** Tokens in a KV block. */
export const BLOCK_SIZE = 16;

/**
 * The pool is not shrunk below this many tokens: one sequence of them, or of `maxModelLen` if that is less, must fit.
 */
const MIN_TOKENS = 512;

/** The number of sequences that an automatic cache holds, */
const AUTO_SEQUENCES = 4;
/** with this many tokens each, or the model's context if that is less. */
export const AUTO_TOKENS = 8192;
/** It grows to hold all sequences that run at once, up to this many bytes, */
const AUTO_BATCH_BYTES = 256 * 2 ** 20;
/** within this share of the memory limit of all models, */
const AUTO_SHARE = 1 / 4;
/** and within this many bytes on a software adapter, which uses and zeroes the CPU's memory. */
const AUTO_SOFTWARE_BYTES = 256 * 2 ** 20;
/** It always holds one sequence of this many tokens, or of the model's context if that is less. */
const AUTO_LEAST_TOKENS = 4096;

/** The properties of a machine that an automatic cache depends on. */
export interface Machine {
  /** The limit of all models' GPU memory, in bytes. */
  readonly budgetBytes: number;
  readonly isSoftware: boolean;
  /** Sequences that run at once. */
  readonly maxNumSeqs: number;
}

/** The reason of a reduction. */
export interface CacheCut {
  readonly reason: CutReason;
  /** An explanation for messages. */
  readonly why: string;
}

/** The desired size of the KV cache, and its minimum. */
export interface CachePlan {
  readonly dtype: KvCacheDtype;
  /** Bytes of one block over all layers, keys and values. */
  readonly blockBytes: number;
  readonly isAuto: boolean;
  /** The requested blocks, or the most that an automatic cache takes. */
  readonly numBlocks: number;
  /** The reason of that number, for messages. */
  readonly why: string;
  /**
   * The reason why an automatic cache is smaller than it would be; undefined where it is not, or where a size was
   * requested.
   */
  readonly cut: CutReason | undefined;
  /** Idle models are unloaded to reach this many blocks, and not for more. */
  readonly enoughBlocks: number;
  readonly minBlocks: number;
  /** The model's own context, in tokens. */
  readonly contextLength: number;
  /** The desired tokens of a sequence. */
  readonly maxModelLen: number;
  /** The reason why that is less than the model and the options allow, where it is not the cache. */
  readonly lengthCut: CacheCut | undefined;
  /** Whether `maxModelLen` is required, or may shrink with the cache. */
  readonly isMaxModelLenFixed: boolean;
}

/** The granted size of a cache. */
export interface CacheSize extends CacheConfig {
  readonly maxModelLen: number;
}

/**
 * Sizes the KV cache by the options, or by the machine, and a sequence by the cache and the model. The options are
 * already validated.
 *
 * @throws TabserveError `invalid_request` for bytes that do not hold one block, or not the requested `maxModelLen`
 */
export function planCache(config: ModelConfig, settings: LoadSettings, machine: Machine): CachePlan {
  const { kvCacheBytes = 'auto', kvCacheDtype, maxModelLen: asked } = settings;
  const dtype = kvCacheDtypeOf(kvCacheDtype, machine.isSoftware);
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

/** The most that an automatic cache takes of a machine. */
function mostBytes({ budgetBytes, isSoftware }: Machine): CacheCut & { readonly bytes: number } {
  const bytes = budgetBytes * AUTO_SHARE;
  if (!isSoftware || bytes < AUTO_SOFTWARE_BYTES) {
    return { bytes, reason: 'gpu_memory_share', why: `a quarter of the ${mib(budgetBytes)} of gpuMemoryBytes` };
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

/** The plan's most blocks, where no buffer may exceed the device's largest binding. */
export function mostBlocks(config: ModelConfig, plan: CachePlan, maxBufferBytes: number): number {
  const layerBytes = layerBlockBytes({ ...config, blockSize: BLOCK_SIZE }, plan.dtype);
  return Math.min(plan.numBlocks, Math.floor(maxBufferBytes / layerBytes));
}

/** The plan's fewest blocks; those of the requested `maxModelLen` where there is one. */
export function leastBlocks(plan: CachePlan): number {
  return plan.isMaxModelLenFixed ? blocksFor(plan.maxModelLen) : plan.minBlocks;
}

/** The size of a cache of `numBlocks` blocks. */
export function sizeOf(plan: CachePlan, numBlocks: number): CacheSize {
  return { blockSize: BLOCK_SIZE, numBlocks, maxModelLen: Math.min(plan.maxModelLen, numBlocks * BLOCK_SIZE) };
}

/** @throws TabserveError `invalid_request` where a cache holds less than the requested `maxModelLen` */
export function requireModelLen(plan: CachePlan, maxModelLen: number, why: string): void {
  if (!plan.isMaxModelLenFixed || maxModelLen >= plan.maxModelLen) return;
  const message = `maxModelLen is ${plan.maxModelLen}, but this GPU grants a KV cache for ${maxModelLen} tokens. (${why})`;
  throw new TabserveError('invalid_request', message, { param: 'maxModelLen' });
}

/** The limit, for messages. */
export function bindingLimit(maxBufferBytes: number): string {
  return `a buffer of this GPU has at most ${maxBufferBytes} bytes`;
}

/** For messages. */
export function mib(bytes: number): string {
  return `${count(Math.ceil(bytes / 2 ** 20))} MiB`;
}

/** For messages. */
export function count(tokens: number): string {
  return tokens.toLocaleString('en');
}

function blocksFor(tokens: number): number {
  return Math.ceil(tokens / BLOCK_SIZE);
}
