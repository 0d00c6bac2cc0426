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

/** One load: what it restores, what it tries, and what it says. Variants named `wrong` give other bits than the default. */
async function load(tuning: Tuning | undefined, adapter: AdapterSummary, storage: TuningStorage | undefined, count = 1, wrong: string[] = [], isReady = true) {
  const lines: string[] = [];
  const time = new VirtualTime();
  const openStorage = vi.fn(() => storage);
  const log = (_level: string, line: string): void => void lines.push(line);
  const kernels = new KernelTuning(tuning, openStorage, log);
  const speeds = { default: 0.2, fast: 0.1 };
  const tunables = Array.from({ length: count }, (_, i) => fakeTunable(`${i}`, 1, speeds, { time }));
  for (const { trial } of tunables) for (const variant of wrong) trial.wrong.add(variant);
  for (const tunable of tunables) tunable.isReady = isReady;
  const { kept, tuner } = kernels.start(adapter, tunables, time.clock, time.sleep);
  const queue = new IdleQueue({ isBusy: () => false, gpuLock: new GpuLock(), visibleClock: time.clock, log });
  for (const task of [kept, tuner]) queue.add(task);
  const before = tuner.metrics().state;
  const idle = (): Promise<void> => {
    queue.onIdle();
    return queue.settled();
  };
  await idle();
  const tried = tunables.filter(({ trial }) => trial.runs.length > 0).length;
  const restored = tunables.filter(({ trial }) => trial.runs.length === 0 && trial.used.length > 0);
  for (const { trial } of tunables) for (const used of trial.used) if (used !== 'default') expect(trial.checked).toContain(used);
  return { restored: restored.length, before, tried, metrics: tuner.metrics(), metricsNow: () => tuner.metrics(), lines, openStorage, tunables, idle };
}

test('on a GPU the first load runs trials, and the next goes by what it found', async () => {
  const storage = memory();
  expect(await load('auto', GPU, storage)).toMatchObject({ restored: 0, before: 'idle', tried: 1 });
  expect(await load(undefined, GPU, storage)).toMatchObject({
    restored: 1, before: 'idle', tried: 0, metrics: { state: 'cached', gpuMs: 0, kernels: [{ variant: 'fast', gain: expect.closeTo(2, 3) }] },
  });
  const others: Partial<AdapterSummary>[] = [
    { vendor: 'w' }, { architecture: 'b' }, { device: 'e' }, { description: 'x' }, { features: [] },
  ];
  for (const other of others) expect(await load('auto', { ...GPU, ...other }, storage)).toMatchObject({ restored: 0, tried: 1 });
});

test('a software adapter is not tried unless told to; then what was found is used', async () => {
  const storage = memory();
  expect(await load('auto', SOFTWARE, storage)).toMatchObject({ tried: 0, metrics: { state: 'off' } });
  expect(await load('force', SOFTWARE, storage)).toMatchObject({ before: 'idle', tried: 1 });
  expect(await load('auto', SOFTWARE, storage)).toMatchObject({ restored: 1, tried: 0, metrics: { state: 'cached' } });
});

test('force tries all anew, however long it takes; auto compiles no more than 64 pipelines', async () => {
  const storage = memory();
  const first = await load('auto', GPU, storage, 200);
  expect(first).toMatchObject({ tried: 64, metrics: { state: 'limited', pipelinesCompiled: 64, kernels: { length: 64 } } });
  expect(await load('auto', GPU, storage, 200)).toMatchObject({ restored: 64, tried: 64, metrics: { kernels: { length: 128 } } });
  const forced = await load('force', GPU, storage, 200);
  expect(forced).toMatchObject({ restored: 0, tried: 200, metrics: { state: 'done' } });
  expect(forced.metrics.gpuMs).toBeGreaterThan(2100);
});

test('on a software adapter a kept variant waits until its kernel is compiled; on a GPU it does not', async () => {
  const storage = memory();
  await load('force', SOFTWARE, storage);
  const waits = await load('auto', SOFTWARE, storage, 1, [], false);
  expect(waits).toMatchObject({ restored: 0, metrics: { state: 'cached', kernels: [] } });
  for (const tunable of waits.tunables) tunable.isReady = true;
  expect(waits.metricsNow()).toMatchObject({ state: 'idle' });
  await waits.idle();
  expect(waits.metricsNow()).toMatchObject({ state: 'cached', kernels: [{ variant: 'fast' }] });

  await load('auto', GPU, storage);
  expect(await load('auto', GPU, storage, 1, [], false)).toMatchObject({ restored: 1 });
});

test('a kept variant that is wrong now is dropped at the next load before it is used, and the others are tried anew', async () => {
  const storage = memory();
  await load('auto', GPU, storage);
  const next = await load('auto', GPU, storage, 1, ['fast']);
  expect(next.tunables[0]?.trial).toMatchObject({ used: [], checked: ['fast'] });
  expect(next.metrics).toMatchObject({
    state: 'cached', rejected: [{ kernel: 'kernel 0', variant: 'fast' }], kernels: [{ variant: 'default', gain: 1 }],
  });
  expect(next.lines).toEqual([expect.stringMatching(/wrong numbers on this GPU \(v, a, d\).*kernel 0 for up to 1 tokens, fast\.$/)]);
  const later = await load('auto', GPU, storage); // nor is it tried again
  expect(later).toMatchObject({ restored: 0, tried: 0, metrics: { state: 'cached', rejected: [], kernels: [{ variant: 'default' }] } });
});

test('a kept variant that is not known any more, or does not compile, leaves the default, and the kernel is tried anew', async () => {
  const records = new Map<string, TuningRecord>();
  const storage = memory(records);
  await load('auto', GPU, storage);
  const [adapter = ''] = [...records.keys()];
  await storage.update(adapter, (record) => ({
    version: record?.version ?? '', bestVariants: { 0: { variant: 'gone', ms: 1, defaultMs: 3, tried: ['gone', 'fast'] } },
  }));
  expect(await load('auto', GPU, storage)).toMatchObject({ restored: 0, tried: 1, metrics: { state: 'done', kernels: [{ variant: 'fast' }] } });
});

test('off neither tries nor opens the storage', async () => {
  const storage = memory();
  await load('auto', GPU, storage);
  const off = await load('off', GPU, storage);
  expect(off).toMatchObject({ restored: 0, before: 'off', tried: 0 });
  expect(off.openStorage).not.toHaveBeenCalled();
});

test('a storage that refuses, or is not there, only means trying again, and is told of once', async () => {
  const refuses = { read: () => Promise.reject(new Error('denied')), update: () => Promise.reject(new Error('full')) };
  const refused = await load('auto', GPU, refuses, 3);
  expect(refused).toMatchObject({ restored: 0, tried: 3, metrics: { state: 'done' } });
  expect(refused.lines.filter((line) => /storage/.test(line))).toEqual([expect.stringMatching(/denied/)]);
  expect(await load('auto', GPU, undefined)).toMatchObject({ restored: 0, tried: 1, lines: [expect.stringMatching(/^Tuned/)] });
});

test('loading does not wait for a storage that does not answer', async () => {
  const silent = { read: () => new Promise<undefined>(() => {}), update: () => new Promise<void>(() => {}) };
  expect(await load('auto', GPU, silent)).toMatchObject({ restored: 0, tried: 1, metrics: { state: 'done' } });
});
