import { TabserveError } from '../core/errors.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { BufferPool } from '../gpu/buffers.ts';
import { layerBlockBytes } from '../kernels/rope-kv-write.ts';
import type { LayerCache } from '../models/decoder.ts';
import {
  bindingLimit, BLOCK_SIZE, type CacheCut, type CachePlan, type CacheSize, leastBlocks, mostBlocks, requireModelLen, sizeOf,
} from './kv-cache-plan.ts';

/** Creates the other buffers whose sizes depend on the KV cache. */
export type MakeBeside<T> = (buffers: BufferPool, layers: readonly LayerCache[], size: CacheSize) => T;

/** Creates a KV cache of a given size, and the buffers that depend on it. */
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

/** A KV cache that the GPU has granted, and the buffers that depend on it. */
export interface FittedCache<T> {
  readonly made: T;
  readonly plan: CachePlan;
  readonly numBlocks: number;
  readonly bytes: number;
  /** The reason why it has fewer blocks than planned; undefined where it has all. */
  readonly cut: CacheCut | undefined;
}

/**
 * Allocates the KV cache as planned, or as large as the budget and the GPU allow. No buffer exceeds the device's
 * largest binding. A pool that the GPU refuses is destroyed, halved and tried again, down to the plan's minimum. `make`
 * creates the other buffers that depend on its size in the same attempt.
 *
 * @throws TabserveError `out_of_memory` where not even the minimum is granted; `invalid_request` where the granted
 *   cache does not hold the requested `maxModelLen`.
 */
export async function fitCache<T>(
  buffers: BufferPool,
  config: ModelConfig,
  plan: CachePlan,
  make: MakeBeside<T>,
  budgetedBlocks = Infinity,
): Promise<FittedCache<T>> {
  const bindable = mostBlocks(config, plan, buffers.maxBytes);
  let cut: CacheCut =
    budgetedBlocks < bindable
      ? { reason: 'gpu_memory', why: 'gpuMemoryBytes has no more beside the weights and other models' }
      : { reason: 'buffer_size', why: bindingLimit(buffers.maxBytes) };
  for (const numBlocks of sizesToTry(plan, Math.min(bindable, budgetedBlocks))) {
    const outcome = await buffers.tryCreate((pool) => createCache(pool, config, plan, numBlocks, make));
    if ('made' in outcome) {
      requireModelLen(plan, sizeOf(plan, numBlocks).maxModelLen, cut.why);
      const isWhole = numBlocks === plan.numBlocks;
      const bytes = numBlocks * plan.blockBytes;
      return { made: outcome.made, plan, numBlocks, bytes, cut: isWhole ? undefined : cut };
    }
    cut = { reason: 'gpu_refused', why: outcome.refused.message };
  }
  throw new TabserveError(
    'out_of_memory',
    `The GPU has no room for a KV cache beside the model: of ${plan.numBlocks * plan.blockBytes} bytes asked, ` +
      `${plan.minBlocks * plan.blockBytes} are the least (${plan.minBlocks * BLOCK_SIZE} tokens). Close other programs and ` +
      `pages that use the GPU, or use a smaller model or kvCacheDtype "f16" or "int8". (${cut.why})`,
  );
}

/**
 * Numbers of blocks to try, largest first: halves of the planned number, and also the plan's `enoughBlocks` and
 * minimum.
 */
function* sizesToTry(plan: CachePlan, most: number): Generator<number> {
  const stops = [plan.enoughBlocks, leastBlocks(plan), plan.minBlocks];
  let numBlocks = most;
  while (numBlocks >= plan.minBlocks) {
    yield numBlocks;
    if (numBlocks === plan.minBlocks) return;
    const below = stops.filter((stop) => stop < numBlocks);
    numBlocks = Math.max(...below, Math.floor(numBlocks / 2));
  }
}
