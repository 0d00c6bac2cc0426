import { expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { DeferredKernels } from '../../../src/engine/deferred-kernels.ts';

/** Kernels that compile when they are told to, and what came of them. */
function lab(tokens: readonly number[], whileIdleOnly: boolean) {
  const started: number[] = [];
  const logged: string[] = [];
  const state = { isBusy: false };
  let end: ((error?: unknown) => void) | undefined;
  const kernels = tokens.map((each) => ({
    tokens: each,
    compile: () => {
      started.push(each);
      return new Promise<void>((resolve, reject) => {
        end = (error) => (error === undefined ? resolve() : reject(error as Error));
      });
    },
  }));
  const log = (_level: string, message: string): void => void logged.push(message);
  const compiler = new DeferredKernels({ kernels, isBusy: () => state.isBusy, whileIdleOnly, gpuLock: new GpuLock(), log });
  const finish = async (error?: unknown): Promise<void> => {
    await settle();
    end?.(error);
    await settle();
  };
  return { compiler, started, logged, state, finish };
}

/** All that follows from what has happened. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

test('kernels are compiled one after the other, the widest first', async () => {
  const { compiler, started, finish } = lab([2, 4, 2], false);
  await settle();
  expect(started).toEqual([4]);
  expect(compiler.numLeft).toBe(3);
  await finish();
  expect(started).toEqual([4, 2]);
  await finish();
  await finish();
  expect(started).toEqual([4, 2, 2]);
  expect(compiler.numLeft).toBe(0);
  await compiler.settled;
});

test('on a GPU they are compiled beside requests', async () => {
  const { started, state, finish } = lab([8, 2], false);
  state.isBusy = true;
  await settle();
  await finish();
  expect(started).toEqual([8, 2]);
});

test('on a software adapter only while nobody asks for anything', async () => {
  const { compiler, started, state, finish } = lab([8, 2, 2], true);
  await settle();
  expect(started).toEqual([]); // the engine does not run yet
  compiler.onIdle();
  await settle();
  expect(started).toEqual([8]);
  state.isBusy = true;
  await finish();
  expect(started).toEqual([8]);
  compiler.onIdle(); // idle for a moment only: another request has come since
  await settle();
  expect(started).toEqual([8]);
  state.isBusy = false;
  compiler.onIdle();
  await settle();
  expect(started).toEqual([8, 2]);
  expect(compiler.numLeft).toBe(2);
});

test('one that does not compile is left out, and told', async () => {
  const { compiler, started, logged, finish } = lab([8, 2], false);
  await finish(new TabserveError('internal', 'The kernel matmul does not compile'));
  expect(started).toEqual([8, 2]);
  expect(logged).toEqual([expect.stringMatching(/left out.*matmul does not compile/)]);
  await finish();
  await compiler.settled;
});

test.each([
  ['a model that is unloaded', (compiler: DeferredKernels) => compiler.stop(), undefined],
  ['a GPU that is lost', () => {}, new TabserveError('device_lost', 'gone')],
] as const)('%s ends it without a word', async (_what, happen, error) => {
  const { compiler, started, logged, finish } = lab([8, 2], false);
  await settle();
  happen(compiler);
  await finish(error);
  await compiler.settled;
  expect(started).toEqual([8]);
  expect(logged).toEqual([]);
});

test('a model that is unloaded before it was ever idle', async () => {
  const { compiler, started } = lab([8], true);
  compiler.stop();
  await compiler.settled;
  expect(started).toEqual([]);
});
