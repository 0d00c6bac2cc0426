import type { ModelConfig } from '../core/model-config.ts';
import type { SchedulerConfig } from '../core/scheduler-output.ts';
import type { BufferPool } from '../gpu/buffers.ts';
import type { ModelFile } from '../formats/gguf.ts';
import type { LayerCache } from '../models/decoder.ts';
import type { MatrixLayout } from '../models/weights-planner.ts';
import { planWeights } from '../models/weights.ts';
import { createState, withPartials } from './decoder-state.ts';
import { GpuBudget, type GpuRequest } from './gpu-budget.ts';
import { fitCache } from './kv-cache.ts';
import type { CachePlan, CacheSize } from './kv-cache-plan.ts';

export interface AllocateOptions extends GpuRequest {
  readonly file: ModelFile;
  readonly config: ModelConfig;
  readonly plan: CachePlan;
  readonly matrices: MatrixLayout;
  readonly limits: Omit<SchedulerConfig, keyof CacheSize>;
  /** Whether to create the staging buffer that copies blocks of the KV cache. */
  readonly blockTransfer?: boolean | undefined;
}

/**
 * Creates every buffer of a model. The KV cache is as large as the budget and the GPU allow. Nothing is allocated
 * before it is known that everything fits.
 *
 * @throws TabserveError as `loadRunner` does
 */
export async function allocate(options: AllocateOptions, buffers: BufferPool) {
  const { file, config, plan, matrices } = options;
  const createFixed = (pool: BufferPool) => {
    const { MAP_READ, COPY_DST } = GPUBufferUsage;
    const planned = planWeights(file, config, pool, matrices);
    const staged = options.blockTransfer === true;
    return { ...planned, blockStaging: staged ? pool.create('KV block', plan.blockBytes, MAP_READ | COPY_DST) : undefined };
  };
  const createSized = (pool: BufferPool, layers: readonly LayerCache[], size: CacheSize) => {
    const scheduler = withPartials(config, { ...size, ...options.limits });
    return { scheduler, ...createState(pool, config, scheduler, layers, matrices) };
  };
  const budget = new GpuBudget({ limits: buffers.device.limits, config, plan, createFixed, createSized });
  const granted = await budget.reserve(options);
  const fixed = createFixed(buffers);
  await buffers.ready(); // weights first; the KV cache takes the rest
  return { ...fixed, fitted: await fitCache(buffers, config, budget.plan, createSized, budget.blocksWithin(granted)) };
}
