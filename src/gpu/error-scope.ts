import { TabserveError } from '../core/errors.ts';
import { explainFailure, type Gpu } from './device.ts';

/**
 * Runs a task whose errors on the GPU are its own: what WebGPU finds fault with meanwhile fails the task, and nobody who
 * listens to the device hears of it. A task that is not async shares its scopes with nobody.
 *
 * @throws TabserveError what the task throws, `out_of_memory`, `internal`, or why the device was lost
 */
export async function containErrors<T>({ device, lost }: Gpu, task: () => T | Promise<T>): Promise<T> {
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  let outcome: { readonly value: T } | { readonly failure: unknown };
  try {
    const done = task();
    outcome = { value: done instanceof Promise ? await done : done };
  } catch (failure) {
    outcome = { failure };
  }
  const popped = Promise.all([device.popErrorScope(), device.popErrorScope()]);
  const [outOfMemory, invalid] = await popped.catch(() => []); // the device is lost
  if ('failure' in outcome) throw await explainFailure(lost, outcome.failure);
  if (outOfMemory) throw new TabserveError('out_of_memory', `The GPU has too little memory left: ${outOfMemory.message}`);
  if (invalid) throw new TabserveError('internal', `The GPU reported an error: ${invalid.message}`);
  return outcome.value;
}
