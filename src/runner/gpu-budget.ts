import { TabserveError } from '../core/errors.ts';
import type { LoadSettings } from '../core/load-settings.ts';
import type { ModelConfig } from '../core/model-config.ts';
import { type BufferDevice, BufferPool, maxBufferBytes } from '../gpu/buffers.ts';
import { countingDevice } from '../gpu/counting-device.ts';
import { createCache, type MakeBeside } from './kv-cache.ts';
import { bindingLimit, type CachePlan, type CacheSize, leastBlocks, mib, mostBlocks, requireModelLen, sizeOf } from './kv-cache-plan.ts';

const GIB = 2 ** 30;

/** Browsers cap `navigator.deviceMemory` at this. */
const CAPPED_MEMORY_GIB = 8;

/** Assumed for a machine with that or more, or with a browser that does not report its memory. */
const ASSUMED_MEMORY_GIB = 16;

/** A request for GPU memory. */
export interface GpuRequest extends Pick<LoadSettings, 'gpuMemoryBytes'> {
  /**
   * Decides how much memory the model may take, once the header says how much it needs.
   * @default its need, within the budget
   */
  readonly reserve?: ((need: GpuNeed) => Promise<number>) | undefined;
}

/** A model's need of GPU memory, by its header. */
export interface GpuNeed {
  /** With the smallest useful KV cache. */
  readonly minBytes: number;
  /** With a KV cache large enough that idle models are unloaded for it. */
  readonly enoughBytes: number;
  /** With the requested KV cache. */
  readonly wantedBytes: number;
  /** The limit of all models together. */
  readonly budgetBytes: number;
}

/**
 * The default memory limit of all models. WebGPU does not report free memory, and a GPU refuses allocations it cannot
 * hold, so this is generous: the machine's memory, as far as the browser reports it, and at least one buffer of the
 * largest size that the adapter offers.
 *
 * @param deviceMemory `navigator.deviceMemory` in GiB: rounded, capped, and undefined in some browsers.
 */
export function defaultGpuMemoryBytes(maxBufferSize: number, deviceMemory: number | undefined): number {
  const told = deviceMemory ?? CAPPED_MEMORY_GIB;
  const memory = told < CAPPED_MEMORY_GIB ? told : Math.max(told, ASSUMED_MEMORY_GIB);
  return Math.max(memory * GIB, maxBufferSize);
}

/** The memory limit of all models: the requested one, or the default for this machine. */
export function gpuMemoryOf(limits: BufferDevice['limits'], asked: number | undefined): number {
  const { deviceMemory } = (globalThis.navigator ?? {}) as { readonly deviceMemory?: number };
  return asked ?? defaultGpuMemoryBytes(limits.maxBufferSize, deviceMemory);
}

export interface GpuBudgetOptions {
  readonly limits: BufferDevice['limits'];
  readonly config: ModelConfig;
  readonly plan: CachePlan;
  /** Creates the buffers whose size does not depend on the KV cache: the weights. */
  readonly createFixed: (buffers: BufferPool) => unknown;
  /** Creates the buffers whose size depends on it. */
  readonly createSized: MakeBeside<unknown>;
}

/**
 * Computes a model's GPU memory before anything is allocated, by creating all of its buffers on a counting device. So
 * the estimate equals the later allocation to the byte.
 */
export class GpuBudget {
  /** The plan, with sequences no longer than the device can bind their buffers. */
  readonly plan: CachePlan;
  readonly #options: GpuBudgetOptions;
  readonly #fixedBytes: number;

  /**
   * @throws TabserveError what creating the weights throws, and `invalid_request` for a `maxModelLen` whose buffers the
   *   device cannot bind
   */
  constructor(options: GpuBudgetOptions) {
    this.#options = options;
    this.#fixedBytes = this.#count((pool) => options.createFixed(pool));
    this.plan = this.#bindable(options.plan);
  }

  /**
   * Bytes of all buffers with a KV cache of `numBlocks` blocks.
   * @throws TabserveError `out_of_memory` for one too large to bind
   */
  bytesWith(numBlocks: number): number {
    const { config, createSized } = this.#options;
    return this.#fixedBytes + this.#count((pool) => createCache(pool, config, this.plan, numBlocks, createSized));
  }

  /**
   * Requests the model's memory, before anything is allocated or read.
   *
   * @returns the bytes that it may take
   * @throws TabserveError `out_of_memory` where it does not fit the budget, and what `reserve` throws
   */
  async reserve({ gpuMemoryBytes: asked, reserve }: GpuRequest): Promise<number> {
    const budgetBytes = gpuMemoryOf(this.#options.limits, asked);
    const least = leastBlocks(this.plan);
    const most = Math.max(this.#mostBlocks, least);
    const enough = Math.min(most, Math.max(this.plan.enoughBlocks, least));
    const [minBytes = 0, enoughBytes = 0, wantedBytes = 0] = [least, enough, most].map((blocks) => this.bytesWith(blocks));
    const need = { minBytes, enoughBytes, wantedBytes, budgetBytes };
    if (minBytes > budgetBytes) throw tooLarge(need, asked);
    return reserve === undefined ? Math.min(wantedBytes, budgetBytes) : reserve(need);
  }

  /** The largest KV cache with which all buffers fit, in blocks; at least the smallest useful one. */
  blocksWithin(bytes: number): number {
    let fits = leastBlocks(this.plan);
    let tooMany = this.#mostBlocks + 1;
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2);
      if (this.bytesWith(middle) <= bytes) fits = middle;
      else tooMany = middle;
    }
    return fits;
  }

  get #mostBlocks(): number {
    return mostBlocks(this.#options.config, this.plan, maxBufferBytes(this.#options));
  }

  #bindable(plan: CachePlan): CachePlan {
    const { config } = this.#options;
    const maxBytes = maxBufferBytes(this.#options);
    const why = bindingLimit(maxBytes);
    const longest = sizeOf(plan, mostBlocks(config, plan, maxBytes));
    requireModelLen(plan, longest.maxModelLen, why);
    if (this.#isBound(longest)) return plan;
    let [fits, tooMany] = [0, longest.maxModelLen];
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2);
      if (this.#isBound({ ...longest, maxModelLen: middle })) fits = middle;
      else tooMany = middle;
    }
    requireModelLen(plan, fits, why);
    return { ...plan, maxModelLen: fits, lengthCut: { reason: 'buffer_size', why } };
  }

  /** Whether the device can bind the buffers that a cache of this size requires. */
  #isBound(size: CacheSize): boolean {
    try {
      this.#count((pool) => this.#options.createSized(pool, [], size));
      return true;
    } catch (error) {
      if (error instanceof TabserveError && error.code === 'out_of_memory') return false;
      throw error;
    }
  }

  #count(create: (pool: BufferPool) => unknown): number {
    const pool = new BufferPool(countingDevice(this.#options.limits));
    create(pool);
    return pool.bytes;
  }
}

function tooLarge({ minBytes: neededBytes, budgetBytes }: GpuNeed, asked: number | undefined): TabserveError {
  const whose = asked === undefined ? 'this machine is assumed to have' : 'gpuMemoryBytes allows';
  const message =
    `The model needs ${mib(neededBytes)} of GPU memory even with the smallest KV cache, and ${whose} ${mib(budgetBytes)}. ` +
    'Use a smaller quantisation or model, a smaller maxModelLen or kvCacheDtype "f16" or "int8", or raise gpuMemoryBytes ' +
    'if the GPU has more.';
  return new TabserveError('out_of_memory', message, { details: { neededBytes, budgetBytes } });
}
