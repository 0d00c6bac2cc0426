import { TabserveError } from '../core/errors.ts';
import type { Contain } from './contain.ts';
import { explainFailure, type Gpu } from './device.ts';

/** What two error scopes have caught: memory, and all else. */
type Caught = readonly (GPUError | null | undefined)[];

/**
 * Runs a task whose errors on the GPU are its own: what WebGPU finds fault with in work that it hands to `contain` fails the
 * task, and nobody who listens to the device hears of it.
 *
 * A device has one stack of error scopes for everybody. So each piece of work has scopes of its own, which are popped in
 * the turn in which they are pushed: between a task's turns, errors are those of others, such as a step's.
 *
 * @throws TabserveError what the task throws, `out_of_memory`, `internal`, or why the device was lost
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
