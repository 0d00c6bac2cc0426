import type { TuningMetrics } from '../../../src/core/tuning.ts';
import { VisibleClock } from '../../../src/core/visible-clock.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { IdleQueue } from '../../../src/engine/idle-queue.ts';
import type { LoadedRunner } from '../../../src/runner/load-runner.ts';
import { KernelTuning } from '../../../src/tuning/kernel-tuning.ts';

/** Fits kernels to the adapter as a first load does before it is asked anything; nothing is known from another. */
export async function tune({ adapter, tunables }: LoadedRunner): Promise<TuningMetrics> {
  const tuning = new KernelTuning('auto', () => undefined, () => {});
  const { kept, tuner } = tuning.start(adapter, tunables, new VisibleClock(() => performance.now(), true));
  const queue = new IdleQueue({ isBusy: () => false, gpuLock: new GpuLock(), log: () => {} });
  for (const task of [kept, tuner]) queue.add(task);
  queue.onIdle();
  await queue.settled();
  return tuner.metrics();
}
