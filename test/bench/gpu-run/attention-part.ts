import { type Budget, NO_TIME } from '../../../demo/bench/models/budget.ts';
import { KV_CACHE_DTYPES } from '../../../src/core/kv-cache-dtype.ts';
import { numPartialsAt } from '../../../src/core/partials.ts';
import { partialsBytes } from '../../../src/kernels/attention.ts';
import { layerBlockBytes } from '../../../src/kernels/rope-kv-write.ts';
import { ATTENTION_SPLIT } from '../../../src/kernels/step-inputs.ts';
import { type AttentionScene, shapeOf } from '../dawn/kernel-ops.ts';
import { type Kernels, measure, openKernels } from '../dawn/kernel-parts.ts';
import type { RunBench } from './plan.ts';

const PART = 'attention';

/** Attention of decode in each type of cache, and apart from it the merge of its splits. */
export async function attentionPart(bench: RunBench, budget: Budget): Promise<void> {
  const { attention, attentionContexts } = bench.sizes;
  const opened = await openKernels(bench);
  try {
    for (const context of attentionContexts) {
      for (const each of attention) {
        for (const kvCacheDtype of KV_CACHE_DTYPES) await timeScene(bench, budget, opened, { ...each, context, kvCacheDtype });
      }
    }
  } finally {
    opened.device.destroy();
  }
}

async function timeScene(bench: RunBench, budget: Budget, opened: Kernels, scene: Required<AttentionScene>): Promise<void> {
  const { heads, sequences, context, kvCacheDtype } = scene;
  const { numHeads, headSize, numKvHeads } = heads;
  const name = `${numHeads} heads of ${headSize} over ${numKvHeads}, KV ${kvCacheDtype}, context ${context}, ${sequences} at once`;
  const bindable = opened.device.limits.maxStorageBufferBindingSize;
  const keyBytes = sequences * context * layerBlockBytes({ ...heads, blockSize: 1 }, kvCacheDtype);
  if (budget.isSpent || keyBytes > bindable) {
    return bench.report.omit(PART, name, budget.isSpent ? NO_TIME : `keys of more than the ${bindable} bytes that the device binds`);
  }
  const { rounds, cacheBytes } = opened.kernels.attentions(scene, bench.sizes.workingSetBytes);
  try {
    const shared = { part: PART, shape: shapeOf(sequences, context), each: ['a layer', 'layers'] } as const;
    const partials = sequences * numPartialsAt(context - 1, ATTENTION_SPLIT);
    const macs = 2 * numHeads * headSize * context * sequences;
    await measure(bench, budget, opened, { ...shared, name, rounds: rounds.map(([splits]) => [splits]), macs, bytes: cacheBytes });
    if (partials === 0) return;
    await measure(bench, budget, opened, { ...shared, name: `${name}, merge`, rounds: rounds.map(([, merge]) => [merge]), macs: partials * numHeads * headSize, bytes: partialsBytes(heads, partials) });
  } finally {
    opened.kernels.clear();
  }
}
