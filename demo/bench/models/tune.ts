import type { TuningMetrics } from '../../../src/core/tuning.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import type { LoadedRunner } from '../../../src/runner/load-runner.ts';
import { KernelTuning } from '../../../src/worker/tune-kernels.ts';

/** Fits kernels to the adapter as a first load does before it is asked anything; nothing is known from another. */
export async function tune({ adapter, tunables }: LoadedRunner): Promise<TuningMetrics> {
  const tuning = new KernelTuning('auto', () => undefined, () => {});
  const tuner = tuning.start({ adapter, tunables, gpuLock: new GpuLock(), othersSettled: async () => {} });
  tuner.onIdle();
  await tuner.settled;
  return tuner.metrics();
}
