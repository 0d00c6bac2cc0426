import { expect, test, vi } from 'vitest';
import type { AdapterSummary } from '../../../src/core/metrics.ts';
import type { Tuning } from '../../../src/core/tuning.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { IdleQueue } from '../../../src/engine/idle-queue.ts';
import type { TuningRecord, TuningStorage } from '../../../src/tuning/tuning-store.ts';
import { KernelTuning } from '../../../src/tuning/kernel-tuning.ts';
import { fakeTunable } from './fake-trial.ts';
import { VirtualTime } from './virtual-time.ts';

const GPU: AdapterSummary = {
  vendor: 'v', architecture: 'a', device: 'd', description: '', isSoftware: false, features: ['subgroups'],
};
const SOFTWARE = { ...GPU, isSoftware: true };

function memory(records = new Map<string, TuningRecord>()): TuningStorage {
  return {
    read: async (adapter) => records.get(adapter),
    update: async (adapter, change) => void records.set(adapter, change(records.get(adapter))),
  };
}

/** One load: what it begins with, what it tries, and what it says. */
async function load(tuning: Tuning | undefined, adapter: AdapterSummary, storage: TuningStorage | undefined, count = 1) {
  const lines: string[] = [];
  const time = new VirtualTime();
  const openStorage = vi.fn(() => storage);
  const kernels = new KernelTuning(tuning, openStorage, (_level, line) => void lines.push(line));
  const bestVariants = await kernels.bestVariants(adapter);
  const speeds = { default: 0.2, fast: 0.1 };
  const tunables = Array.from({ length: count }, (_, i) => fakeTunable(`${i}`, 1, speeds, { time, variant: bestVariants.get(`${i}`)?.variant }));
  const tuner = kernels.start(adapter, tunables, time.clock, time.sleep);
  const queue = new IdleQueue({ isBusy: () => false, gpuLock: new GpuLock(), visibleClock: time.clock, log: (_level, line) => void lines.push(line) });
  queue.add(tuner);
  const before = tuner.metrics().state;
  queue.onIdle();
  await queue.settled();
  const tried = tunables.filter(({ isPrepared }) => isPrepared).length;
  return { bestVariants: bestVariants.size, before, tried, metrics: tuner.metrics(), lines, openStorage };
}

test('on a GPU the first load runs trials, and the next goes by what it found', async () => {
  const storage = memory();
  expect(await load('auto', GPU, storage)).toMatchObject({ bestVariants: 0, before: 'idle', tried: 1 });
  expect(await load(undefined, GPU, storage)).toMatchObject({
    bestVariants: 1, before: 'cached', tried: 0, metrics: { gpuMs: 0, kernels: [{ variant: 'fast' }] },
  });
  const others: Partial<AdapterSummary>[] = [
    { vendor: 'w' }, { architecture: 'b' }, { device: 'e' }, { description: 'x' }, { features: [] },
  ];
  for (const other of others) expect(await load('auto', { ...GPU, ...other }, storage)).toMatchObject({ bestVariants: 0, tried: 1 });
});

test('a software adapter is not tried unless told to; then what was found is used', async () => {
  const storage = memory();
  expect(await load('auto', SOFTWARE, storage)).toMatchObject({ before: 'off', tried: 0 });
  expect(await load('force', SOFTWARE, storage)).toMatchObject({ before: 'idle', tried: 1 });
  expect(await load('auto', SOFTWARE, storage)).toMatchObject({ bestVariants: 1, before: 'cached', tried: 0 });
});

test('force tries all anew, however long it takes; auto compiles no more than 64 pipelines', async () => {
  const storage = memory();
  const first = await load('auto', GPU, storage, 200);
  expect(first).toMatchObject({ tried: 64, metrics: { state: 'limited', pipelinesCompiled: 64, kernels: { length: 64 } } });
  expect(await load('auto', GPU, storage, 200)).toMatchObject({ bestVariants: 64, tried: 64, metrics: { kernels: { length: 128 } } });
  const forced = await load('force', GPU, storage, 200);
  expect(forced).toMatchObject({ bestVariants: 0, tried: 200, metrics: { state: 'done' } });
  expect(forced.metrics.gpuMs).toBeGreaterThan(2100);
});

test('off neither tries nor opens the storage', async () => {
  const storage = memory();
  await load('auto', GPU, storage);
  const off = await load('off', GPU, storage);
  expect(off).toMatchObject({ bestVariants: 0, before: 'off', tried: 0 });
  expect(off.openStorage).not.toHaveBeenCalled();
});

test('a storage that refuses, or is not there, only means trying again, and is told of once', async () => {
  const refuses = { read: () => Promise.reject(new Error('denied')), update: () => Promise.reject(new Error('full')) };
  const refused = await load('auto', GPU, refuses, 3);
  expect(refused).toMatchObject({ bestVariants: 0, tried: 3, metrics: { state: 'done' } });
  expect(refused.lines.filter((line) => /storage/.test(line))).toEqual([expect.stringMatching(/denied/)]);
  expect(await load('auto', GPU, undefined)).toMatchObject({ bestVariants: 0, tried: 1, lines: [expect.stringMatching(/^Tuned/)] });
});

test('loading does not wait for a storage that does not answer', async () => {
  const silent = { read: () => new Promise<undefined>(() => {}), update: () => new Promise<void>(() => {}) };
  expect(await load('auto', GPU, silent)).toMatchObject({ bestVariants: 0, tried: 1, metrics: { state: 'done' } });
});
