import { TabserveError } from '../core/errors.ts';
import type { Contain } from './contain.ts';
import { explainFailure, type Gpu } from './device.ts';

/** The errors of two scopes: out of memory, and all others. */
type Caught = readonly (GPUError | null | undefined)[];

/**
 * Runs a task and reports the WebGPU errors of its own calls: an error in work that the task passes to `contain` fails
 * the task, and does not reach the device's listeners.
 *
 * A device has one stack of error scopes for everybody. So each piece of work pushes its own scopes and pops them
 * within the same turn of the event loop. Between two turns of a task, errors belong to others, such as a step.
 *
 * @throws TabserveError the task's own error, `out_of_memory`, `internal`, or the reason of the device's loss
 */
export async function containErrors<T>({ device, lost }: Gpu, task: (contain: Contain) => T | Promise<T>): Promise<T> {
  const popped: Promise<Caught>[] = [];
  const contain: Contain = (work) => {
    device.pushErrorScope('validation');
    device.pushErrorScope('out-of-memory');
    try {
      return work();
    } finally {
      const both = Promise.all([device.popErrorScope(), device.popErrorScope()]);
      popped.push(both.catch(() => [])); // the device is lost
    }
  };
  let value: T;
  try {
    value = await task(contain);
  } catch (failure) {
    throw await explainFailure(lost, failure);
  }
  for (const [outOfMemory, invalid] of await Promise.all(popped)) {
    if (outOfMemory) throw new TabserveError('out_of_memory', `The GPU has too little memory left: ${outOfMemory.message}`);
    if (invalid) throw new TabserveError('internal', `The GPU reported an error: ${invalid.message}`);
  }
  return value;
}
