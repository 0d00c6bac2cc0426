import { TabserveError } from '../core/errors.ts';
import type { ModelConfig } from '../core/model-config.ts';
import { type BufferDevice, BufferPool, maxBufferBytes } from '../gpu/buffers.ts';
import { countingDevice } from '../gpu/counting-device.ts';
import { type CachePlan, createCache, leastBlocks, type MakeBeside, mostBlocks, requireBindable } from './kv-cache.ts';

const GIB = 2 ** 30;

/** What browsers round `navigator.deviceMemory` down to where they tell as little as they may. */
const CAPPED_MEMORY_GIB = 8;

/** What is assumed of a machine with that or more, or one whose browser does not tell. */
const ASSUMED_MEMORY_GIB = 16;

/** What a model takes of the GPU's memory, as its header says. */
export interface GpuNeed {
  /** With the smallest KV cache that is of use. */
  readonly minBytes: number;
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

/** @throws TabserveError `invalid_request` for what is no number of bytes */
export function checkGpuMemoryBytes(gpuMemoryBytes: number | undefined): void {
  if (gpuMemoryBytes === undefined || (gpuMemoryBytes > 0 && gpuMemoryBytes < Infinity)) return;
  const message = `gpuMemoryBytes is ${String(gpuMemoryBytes)}; give a number of bytes.`;
  throw new TabserveError('invalid_request', message, { param: 'gpuMemoryBytes' });
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
  readonly #options: GpuBudgetOptions;
  readonly #fixedBytes: number;

  /** @throws TabserveError what creating the weights does */
  constructor(options: GpuBudgetOptions) {
    this.#options = options;
    this.#fixedBytes = this.#count((pool) => options.createFixed(pool));
  }

  /** Bytes of all buffers, with a KV cache of so many blocks. @throws TabserveError `out_of_memory` for one too large to bind */
  bytesWith(numBlocks: number): number {
    const { config, plan, createSized } = this.#options;
    return this.#fixedBytes + this.#count((pool) => createCache(pool, config, plan, numBlocks, createSized));
  }

  /**
   * Asks for what the model needs, before any of it is allocated or read.
   *
   * @returns bytes that it may take
   * @throws TabserveError `out_of_memory` where it does not fit the budget, `invalid_request` for a `maxModelLen` whose cache
   *   the device does not bind, and what `reserve` throws
   */
  async reserve(options: {
    readonly gpuMemoryBytes?: number | undefined;
    readonly reserve?: ((need: GpuNeed) => Promise<number>) | undefined;
  }): Promise<number> {
    const { limits, config, plan } = this.#options;
    requireBindable(config, plan, maxBufferBytes(this.#options));
    const { deviceMemory } = (globalThis.navigator ?? {}) as { readonly deviceMemory?: number };
    const budgetBytes = options.gpuMemoryBytes ?? defaultGpuMemoryBytes(limits.maxBufferSize, deviceMemory);
    const minBytes = this.bytesWith(leastBlocks(this.#options.plan));
    const wantedBytes = this.bytesWith(Math.max(this.#mostBlocks, leastBlocks(this.#options.plan)));
    const need = { minBytes, wantedBytes, budgetBytes };
    if (minBytes > budgetBytes) throw tooLarge(need, options.gpuMemoryBytes);
    return options.reserve === undefined ? Math.min(wantedBytes, budgetBytes) : options.reserve(need);
  }

  /** The largest KV cache with which all buffers fit, in blocks; at least the smallest that is of use. */
  blocksWithin(bytes: number): number {
    let fits = leastBlocks(this.#options.plan);
    let tooMany = this.#mostBlocks + 1;
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2);
      if (this.bytesWith(middle) <= bytes) fits = middle;
      else tooMany = middle;
    }
    return fits;
  }

  get #mostBlocks(): number {
    const { config, plan } = this.#options;
    return mostBlocks(config, plan, maxBufferBytes(this.#options));
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

/** For people. */
export function mib(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;
}
