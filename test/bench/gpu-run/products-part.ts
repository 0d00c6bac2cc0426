import type { Budget } from '../../../demo/bench/models/budget.ts';
import { openGpu } from '../../../src/gpu/device.ts';
import { openKernels, timeMatmuls } from '../dawn/kernel-parts.ts';
import type { RunBench } from './plan.ts';

/** Products in each class of numerics that the adapter has. */
export async function productsPart(bench: RunBench, budget: Budget): Promise<void> {
  const { device, supportedNumerics } = await openGpu(bench.gpu, 'f16');
  device.destroy();
  const opened = await openKernels(bench, 'f16');
  try {
    // All classes of a matrix, then the next one: of a run that is cut short the classes can be compared.
    const shapes = bench.sizes.products.flatMap((shape) => supportedNumerics.map((numerics) => ({ ...shape, numerics })));
    await timeMatmuls(bench, budget, opened, 'products', shapes);
  } finally {
    opened.device.destroy();
  }
}
