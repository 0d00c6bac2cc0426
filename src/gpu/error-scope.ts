import { TabserveError } from '../core/errors.ts';
import { explainFailure, type Gpu } from './device.ts';

/**
 * Runs a task whose errors on the GPU are its own: what WebGPU finds fault with meanwhile fails the task, and nobody who
 * listens to the device hears of it.
 *
 * @throws TabserveError what the task throws, `out_of_memory`, `internal`, or why the device was lost
 */
export async function containErrors<T>({ device, lost }: Gpu, task: () => T | Promise<T>): Promise<T> {
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  const settled = await Promise.allSettled([(async () => task())()]);
  const [outOfMemory, invalid] = await Promise.all([device.popErrorScope(), device.popErrorScope()]).catch(() => []);
  const [outcome] = settled;
  if (outcome.status === 'rejected') throw await explainFailure(lost, outcome.reason);
  if (outOfMemory) throw new TabserveError('out_of_memory', `The GPU has too little memory left: ${outOfMemory.message}`);
  if (invalid) throw await explainFailure(lost, new TabserveError('internal', `The GPU reported an error: ${invalid.message}`));
  return outcome.value;
}
