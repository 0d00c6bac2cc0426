import { TabserveError } from '../core/errors.ts';
import type { ModelConfig } from '../core/model-config.ts';
import { type BufferDevice, BufferPool, maxBufferBytes } from '../gpu/buffers.ts';
import { countingDevice } from '../gpu/counting-device.ts';
import { createCache, type MakeBeside } from './kv-cache.ts';
import { bindingLimit, type CachePlan, type CacheSize, leastBlocks, mib, mostBlocks, requireModelLen, sizeOf } from './kv-cache-plan.ts';

const GIB = 2 ** 30;

/** What browsers round `navigator.deviceMemory` down to where they tell as little as they may. */
const CAPPED_MEMORY_GIB = 8;

/** What is assumed of a machine with that or more, or one whose browser does not tell. */
const ASSUMED_MEMORY_GIB = 16;

/** What a model takes of the GPU's memory, as its header says. */
export interface GpuNeed {
  /** With the smallest KV cache that is of use. */
  readonly minBytes: number;
  /** With a KV cache for which models that have nothing to do are unloaded. */
  readonly enoughBytes: number;
  /** With the KV cache that was asked for. */
  readonly wantedBytes: number;
  /** What all models may take together. */
  readonly budgetBytes: number;
}

/**
 * What models may take where the user does not say. WebGPU tells no free memory, and a GPU refuses by itself what it does
 * not have, so this is generous: what the machine has, as far as the browser admits, and at least one buffer of the largest
 * size that the adapter offers.
 *
 * @param deviceMemory `navigator.deviceMemory`, in GiB: rounded, capped, and not told by all browsers.
 */
export function defaultGpuMemoryBytes(maxBufferSize: number, deviceMemory: number | undefined): number {
  const told = deviceMemory ?? CAPPED_MEMORY_GIB;
  const memory = told < CAPPED_MEMORY_GIB ? told : Math.max(told, ASSUMED_MEMORY_GIB);
  return Math.max(memory * GIB, maxBufferSize);
}

/** What all models may take of a device's memory: what was asked for, or what is assumed of this machine. */
export function gpuMemoryOf(limits: BufferDevice['limits'], asked: number | undefined): number {
  const { deviceMemory } = (globalThis.navigator ?? {}) as { readonly deviceMemory?: number };
  return asked ?? defaultGpuMemoryBytes(limits.maxBufferSize, deviceMemory);
}

export interface GpuBudgetOptions {
  readonly limits: BufferDevice['limits'];
  readonly config: ModelConfig;
  readonly plan: CachePlan;
  /** Creates what does not depend on the KV cache's size: the weights. */
  readonly createFixed: (buffers: BufferPool) => unknown;
  /** Creates what does, beside it. */
  readonly createSized: MakeBeside<unknown>;
}

/**
 * Counts what a model takes of the GPU before anything is allocated: by creating all of its buffers, on a device that has
 * none. So the estimate is what is allocated later, to the byte.
 */
export class GpuBudget {
  /** What was planned, with sequences only as long as the device binds what they need beside the KV cache. */
  readonly plan: CachePlan;
  readonly #options: GpuBudgetOptions;
  readonly #fixedBytes: number;

  /**
   * @throws TabserveError what creating the weights does, and `invalid_request` for a `maxModelLen` whose buffers the device
   *   does not bind
   */
  constructor(options: GpuBudgetOptions) {
    this.#options = options;
    this.#fixedBytes = this.#count((pool) => options.createFixed(pool));
    this.plan = this.#bindable(options.plan);
  }

  /** Bytes of all buffers, with a KV cache of so many blocks. @throws TabserveError `out_of_memory` for one too large to bind */
  bytesWith(numBlocks: number): number {
    const { config, createSized } = this.#options;
    return this.#fixedBytes + this.#count((pool) => createCache(pool, config, this.plan, numBlocks, createSized));
  }

  /**
   * Asks for what the model needs, before any of it is allocated or read.
   *
   * @returns bytes that it may take
   * @throws TabserveError `out_of_memory` where it does not fit the budget, and what `reserve` throws
   */
  async reserve(options: {
    readonly gpuMemoryBytes?: number | undefined;
    readonly reserve?: ((need: GpuNeed) => Promise<number>) | undefined;
  }): Promise<number> {
    const budgetBytes = gpuMemoryOf(this.#options.limits, options.gpuMemoryBytes);
    const least = leastBlocks(this.plan);
    const most = Math.max(this.#mostBlocks, least);
    const enough = Math.min(most, Math.max(this.plan.enoughBlocks, least));
    const [minBytes = 0, enoughBytes = 0, wantedBytes = 0] = [least, enough, most].map((blocks) => this.bytesWith(blocks));
    const need = { minBytes, enoughBytes, wantedBytes, budgetBytes };
    if (minBytes > budgetBytes) throw tooLarge(need, options.gpuMemoryBytes);
    return options.reserve === undefined ? Math.min(wantedBytes, budgetBytes) : options.reserve(need);
  }

  /** The largest KV cache with which all buffers fit, in blocks; at least the smallest that is of use. */
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

  /** Whether the device binds what a cache of that size has beside it. */
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
  const whose = asked === undefined ? 'this machine is taken to have' : 'gpuMemoryBytes allows';
  const message =
    `The model needs ${mib(neededBytes)} of GPU memory even with the smallest KV cache, and ${whose} ${mib(budgetBytes)}. ` +
    'Use a smaller quantisation or model, a smaller maxModelLen or kvCacheDtype "f16" or "int8", or raise gpuMemoryBytes ' +
    'if the GPU has more.';
  return new TabserveError('out_of_memory', message, { details: { neededBytes, budgetBytes } });
}
