import { expect, test } from 'vitest';
import type { BestVariant } from '../../../src/tuning/tunable.ts';
import { Autotuner, type AutotunerOptions } from '../../../src/tuning/autotuner.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { IdleQueue } from '../../../src/engine/idle-queue.ts';
import { type FakeTunable, fakeTunable } from './fake-trial.ts';
import { settle } from '../engine/virtual-gpu.ts';

const SPEEDS = { default: 0.2, fast: 0.1, slow: 0.5 };

function start(tunables: readonly FakeTunable[], options: Partial<AutotunerOptions> = {}) {
  const saved: [string, BestVariant][] = [];
  const lines: string[] = [];
  const log = (_level: string, line: string): void => void lines.push(line);
  const tuner = new Autotuner({
    tunables,
    known: new Map(),
    budgetMs: 2000,
    save: (key, best) => void saved.push([key, best]),
    log,
    ...options,
  });
  const gpuLock = new GpuLock();
  const queue = new IdleQueue({ isBusy: () => false, gpuLock, log });
  queue.add(tuner);
  /** Lets it do all it can while there are no requests. */
  const tune = (): Promise<void> => {
    queue.onIdle();
    return queue.settled();
  };
  return { tuner, saved, lines, gpuLock, queue, tune };
}

test('while nothing is asked all are tried; the best variants are used, kept and told of', async () => {
  const tunables = [fakeTunable('a', 1, SPEEDS), fakeTunable('b', 1, { default: 0.1, slow: 0.2 })];
  const { tuner, saved, lines, tune } = start(tunables);
  expect(tuner.metrics()).toEqual({ state: 'idle', gpuMs: 0, numKernels: 2, kernels: [] });
  await tune();
  expect(tunables.map(({ trial }) => trial.used)).toEqual([['fast'], ['default']]);
  expect(saved.map(([key, { variant }]) => [key, variant])).toEqual([['a', 'fast'], ['b', 'default']]);
  const spent = tunables.flatMap(({ trial }) => trial.runs).reduce((sum, { ms }) => sum + ms, 0);
  const { kernels, ...metrics } = tuner.metrics();
  expect(metrics).toEqual({ state: 'done', gpuMs: expect.closeTo(spent, 5), numKernels: 2 });
  expect(kernels).toEqual([
    { name: 'kernel a', tokens: 1, variant: 'fast', gain: expect.closeTo(2, 5) },
    { name: 'kernel b', tokens: 1, variant: 'default', gain: 1 },
  ]);
  expect(lines).toEqual([expect.stringMatching(/^Tuned 2 of 2 kernels/)]);
});

test('decoding is tried first, then prompts, then what lies between', async () => {
  const order: string[] = [];
  const tunables = [1, 2, 4, 8, 1, 2, 4, 8].map((tokens, i) => fakeTunable(`${i}`, tokens, SPEEDS));
  const { tune } = start(tunables, { save: (key) => void order.push(key) });
  await tune();
  expect(order.map((key) => tunables[Number(key)]?.tokens)).toEqual([1, 1, 8, 8, 4, 4, 2, 2]);
});

test('the budget is kept, and what there was no time for keeps its default and is tried next time', async () => {
  const make = (): FakeTunable[] => Array.from({ length: 40 }, (_, i) => fakeTunable(`${i}`, 1, SPEEDS));
  const tunables = make();
  const { tuner, saved, tune } = start(tunables, { budgetMs: 300 });
  await tune();
  const runs = tunables.flatMap(({ trial }) => trial.runs);
  const spent = runs.reduce((sum, { ms }) => sum + ms, 0);
  expect(spent).toBeGreaterThan(290);
  expect(spent).toBeLessThan(300 + Math.max(...runs.map(({ ms }) => ms)));
  expect(saved.length).toBeGreaterThan(2);
  expect(saved.length).toBeLessThan(40);
  expect(tunables.flatMap(({ trial }) => trial.used)).toHaveLength(saved.length);
  expect(tuner.metrics()).toMatchObject({ state: 'done', numKernels: 40, kernels: { length: saved.length } });

  const again = make().map((each, i) => (i < saved.length ? { ...each, variant: 'fast' } : each));
  const next = start(again, { known: new Map(saved), budgetMs: 10_000 });
  expect(next.tuner.metrics()).toMatchObject({ state: 'idle', kernels: { length: saved.length } });
  await next.tune();
  expect(again.map(({ trial }) => trial.runs.length > 0)).toEqual(again.map((_, i) => i >= saved.length));
  expect(next.tuner.metrics().kernels).toHaveLength(40);
});

test('what is known is not tried, nor is anything without a budget', async () => {
  const known = new Map([['a', { variant: 'fast', ms: 1, defaultMs: 3 }]]);
  const all = fakeTunable('a', 1, SPEEDS, 'fast');
  const { tuner, tune } = start([all], { known });
  await tune();
  expect(tuner.metrics()).toEqual({
    state: 'cached', gpuMs: 0, numKernels: 1, kernels: [{ name: 'kernel a', tokens: 1, variant: 'fast', gain: 3 }],
  });
  const off = fakeTunable('b', 1, SPEEDS);
  const second = start([all, off], { known, budgetMs: 0 });
  await second.tune();
  expect(second.tuner.metrics()).toMatchObject({ state: 'off', gpuMs: 0, kernels: [{ name: 'kernel a' }] });
  expect([all.isPrepared, off.isPrepared]).toEqual([false, false]);
});

test('a best variant that is not in use is tried again', async () => {
  const known = new Map([['a', { variant: 'gone', ms: 1, defaultMs: 3 }]]);
  const { tuner, tune } = start([fakeTunable('a', 1, SPEEDS)], { known });
  expect(tuner.metrics()).toMatchObject({ state: 'idle', kernels: [] });
  await tune();
  expect(tuner.metrics().kernels).toMatchObject([{ variant: 'fast' }]);
});

test('a request that comes waits for one run; then the trial rests until the GPU is free', async () => {
  const tunable = fakeTunable('a', 1, SPEEDS);
  const { trial } = tunable;
  const { tuner, gpuLock, tune } = start([tunable]);
  let held = Promise.resolve(() => {});
  const isHeld = new Promise<void>((resolve) => {
    trial.onRun = () => {
      if (trial.runs.length !== 6) return;
      held = gpuLock.hold();
      void held.then(() => resolve());
    };
  });
  const tuned = tune();
  await isHeld;
  await settle();
  expect(trial.runs).toHaveLength(7);
  expect(tuner.metrics()).toMatchObject({ state: 'idle' });
  const release = await held;
  trial.onRun = () => {
    expect(gpuLock.numHolders).toBe(0);
  };
  release();
  await tuned;
  expect(trial.used).toEqual(['fast']);
});

test('nothing is prepared while a model of the worker has a request', async () => {
  const tunable = fakeTunable('a', 1, SPEEDS);
  const { gpuLock, tune } = start([tunable]);
  const release = await gpuLock.hold();
  const tuned = tune();
  await settle();
  expect(tunable.isPrepared).toBe(false);
  release();
  await tuned;
  expect(tunable.isPrepared).toBe(true);
});

test('stopped, it ends after the run under way, even the last, uses nothing and says nothing', async () => {
  const whole = fakeTunable('a', 1, SPEEDS);
  await start([whole]).tune();
  for (const count of [5, whole.trial.runs.length]) {
    const tunable = fakeTunable('a', 1, SPEEDS);
    const { saved, lines, queue, tune } = start([tunable, fakeTunable('b', 1, SPEEDS)]);
    tunable.trial.onRun = () => {
      if (tunable.trial.runs.length === count - 1) void queue.stop();
    };
    await tune();
    expect(tunable.trial.runs).toHaveLength(count);
    expect([saved, lines, tunable.trial.used]).toEqual([[], [], []]);
  }
});

test('stopped while a request runs, it ends', async () => {
  const { gpuLock, queue } = start([fakeTunable('a', 1, SPEEDS)]);
  await gpuLock.hold();
  queue.onIdle();
  await settle();
  await queue.stop();
});

test('a trial that fails ends them all, and no request', async () => {
  const tunable = fakeTunable('a', 1, SPEEDS);
  const { tuner, lines, tune } = start([tunable, fakeTunable('b', 1, SPEEDS)]);
  tunable.trial.onRun = () => Promise.reject(new Error('the GPU has a fault'));
  await tune();
  expect(lines[0]).toMatch(/not tuned any more.*the GPU has a fault/);
  expect(tuner.metrics()).toMatchObject({ state: 'done', kernels: [] });
});
