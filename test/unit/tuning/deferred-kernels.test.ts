import { expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import { DeferredKernels, MIN_MISSED_ON_SOFTWARE } from '../../../src/tuning/deferred-kernels.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { IdleQueue } from '../../../src/engine/idle-queue.ts';
import { settle } from '../engine/virtual-gpu.ts';

/** Kernels that compile when they are told to, and what came of them. */
function lab(tokens: readonly number[], isSoftware: boolean) {
  const started: number[] = [];
  const logged: string[] = [];
  const state = { isBusy: false };
  let end: ((error?: unknown) => void) | undefined;
  const kernels = tokens.map((each) => ({
    tokens: each,
    numMissed: 0,
    compile: () => {
      started.push(each);
      return new Promise<void>((resolve, reject) => {
        end = (error) => (error === undefined ? resolve() : reject(error as Error));
      });
    },
  }));
  const log = (_level: string, message: string): void => void logged.push(message);
  const deferred = new DeferredKernels({ kernels, isSoftware, log });
  const queue = new IdleQueue({ isBusy: () => state.isBusy, gpuLock: new GpuLock(), log });
  queue.add(deferred);
  const finish = async (error?: unknown): Promise<void> => {
    await settle();
    end?.(error);
    await settle();
  };
  const miss = (times: number, width?: number): void => {
    for (const kernel of kernels) if (width === undefined || kernel.tokens === width) kernel.numMissed += times;
  };
  return { deferred, queue, started, logged, state, miss, finish };
}

test('kernels are compiled one after the other, the widest first', async () => {
  const { deferred, queue, started, finish } = lab([2, 4, 2], false);
  await settle();
  expect(started).toEqual([4]);
  expect(deferred.numDue).toBe(3);
  await finish();
  expect(started).toEqual([4, 2]);
  await finish();
  await finish();
  expect(started).toEqual([4, 2, 2]);
  expect(deferred.numDue).toBe(0);
  await queue.settled();
});

test('on a GPU they are compiled beside requests', async () => {
  const { started, state, finish } = lab([8, 2], false);
  state.isBusy = true;
  await settle();
  await finish();
  expect(started).toEqual([8, 2]);
});

test('on a software adapter only while nobody asks for anything', async () => {
  const { deferred, queue, started, state, miss, finish } = lab([8, 2, 2], true);
  miss(MIN_MISSED_ON_SOFTWARE);
  await settle();
  expect(started).toEqual([]); // the engine does not run yet
  queue.onIdle();
  await settle();
  expect(started).toEqual([8]);
  state.isBusy = true;
  await finish();
  expect(started).toEqual([8]);
  queue.onIdle(); // idle for a moment only: another request has come since
  await settle();
  expect(started).toEqual([8]);
  state.isBusy = false;
  queue.onIdle();
  await settle();
  expect(started).toEqual([8, 2]);
  expect(deferred.numDue).toBe(2);
});

test('on a software adapter only those that steps have missed', async () => {
  const { deferred, queue, started, miss, finish } = lab([8, 4, 2], true);
  miss(MIN_MISSED_ON_SOFTWARE - 1);
  queue.onIdle();
  await finish();
  expect([started, deferred.numDue]).toEqual([[], 0]);
  miss(1, 4);
  expect(deferred.numDue).toBe(1);
  queue.onIdle();
  await finish();
  expect([started, deferred.numDue]).toEqual([[4], 0]);
  miss(1);
  queue.onIdle();
  await finish();
  await finish();
  expect([started, deferred.numDue]).toEqual([[4, 8, 2], 0]);
  await queue.settled();
});

test('one that does not compile is left out, and logged', async () => {
  const { queue, started, logged, finish } = lab([8, 2], false);
  await finish(new TabserveError('internal', 'The kernel matmul does not compile'));
  expect(started).toEqual([8, 2]);
  expect(logged).toEqual([expect.stringMatching(/left out.*matmul does not compile/)]);
  await finish();
  await queue.settled();
});

test.each([
  ['a model that is unloaded', (queue: IdleQueue) => void queue.stop(), undefined],
  ['a GPU that is lost', () => {}, new TabserveError('device_lost', 'gone')],
] as const)('%s ends it without a word', async (_what, happen, error) => {
  const { queue, started, logged, finish } = lab([8, 2], false);
  await settle();
  happen(queue);
  await finish(error);
  await queue.settled();
  expect(started).toEqual([8]);
  expect(logged).toEqual([]);
});

test('a model that is unloaded before it was ever idle', async () => {
  const { queue, started } = lab([8], true);
  await queue.stop();
  queue.onIdle();
  await settle();
  expect(started).toEqual([]);
});
