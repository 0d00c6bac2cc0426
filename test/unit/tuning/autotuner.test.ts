import { expect, test } from 'vitest';
import type { BestVariant, BestVariants } from '../../../src/tuning/tunable.ts';
import { Autotuner, type AutotunerOptions } from '../../../src/tuning/autotuner.ts';
import { KnownVariants } from '../../../src/tuning/known-variants.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { IdleQueue } from '../../../src/engine/idle-queue.ts';
import { type FakeTunable, type FakeTunableOptions, fakeTunable } from './fake-trial.ts';
import { VirtualTime } from './virtual-time.ts';
import { settle } from '../engine/virtual-gpu.ts';

const SPEEDS = { default: 0.2, fast: 0.1, slow: 0.5 };
const LIMITS = { wallMs: 10_000, gpuMs: 2000, pipelines: 64 };

interface StartOptions extends Partial<AutotunerOptions> {
  readonly time?: VirtualTime;
  /** Those whose variants are in use already. */
  readonly known?: BestVariants;
}

function start(tunables: readonly FakeTunable[], options: StartOptions = {}) {
  const { time = new VirtualTime(), known = new Map<string, BestVariant>(), ...others } = options;
  const saved: [string, BestVariant][] = [];
  const lines: string[] = [];
  const log = (_level: string, line: string): void => void lines.push(line);
  const save = (key: string, best: BestVariant): void => void saved.push([key, best]);
  const variants = new KnownVariants({ save, adapter: 'some GPU', log });
  variants.learn(known);
  const kept = { isDone: true };
  const tuner = new Autotuner({ tunables, variants, kept, limits: LIMITS, clock: time.clock, sleep: time.sleep, log, ...others });
  const gpuLock = new GpuLock();
  const queue = new IdleQueue({ isBusy: () => false, gpuLock, visibleClock: time.clock, log });
  queue.add(tuner);
  /** Lets it do all it can while there are no requests. */
  const tune = (): Promise<void> => {
    queue.onIdle();
    return queue.settled();
  };
  return { tuner, saved, lines, gpuLock, queue, tune, time };
}

/** Kernels of one token, as a load finds them that knows some results. */
function kernels(count: number, speeds: Readonly<Record<string, number>>, options: FakeTunableOptions, known = new Map<string, BestVariant>()) {
  return Array.from({ length: count }, (_, i) => fakeTunable(`${i}`, 1, speeds, { ...options, variant: known.get(`${i}`)?.variant }));
}

/** The default and many others, each a little faster than the one before. */
const manySpeeds = (count: number) => ({ default: 0.2, ...Object.fromEntries(Array.from({ length: count }, (_, i) => [`v${i}`, 0.19 - 0.005 * i])) });

test('while nothing is asked all are tried; the best variants are used, kept and told of', async () => {
  const time = new VirtualTime();
  const tunables = [fakeTunable('a', 1, SPEEDS, { time, compileMs: () => 100 }), fakeTunable('b', 1, { default: 0.1, slow: 0.2 }, { time })];
  const { tuner, saved, lines, tune } = start(tunables, { time });
  expect(tuner.metrics()).toEqual({ state: 'idle', wallMs: 0, gpuMs: 0, pipelinesCompiled: 0, numKernels: 2, kernels: [], rejected: [] });
  await tune();
  expect(tunables.map(({ trial }) => trial.used)).toEqual([['fast'], ['default']]);
  expect(saved.map(([key, { variant, tried }]) => [key, variant, tried])).toEqual([['a', 'fast', ['fast', 'slow']], ['b', 'default', ['slow']]]);
  const spent = tunables.flatMap(({ trial }) => trial.runs).reduce((sum, { ms }) => sum + ms, 0);
  const { kernels: tuned, ...metrics } = tuner.metrics();
  expect(metrics).toEqual({
    state: 'done', wallMs: expect.closeTo(time.now, 5), gpuMs: expect.closeTo(spent, 5), pipelinesCompiled: 3, numKernels: 2, rejected: [],
  });
  expect(metrics.wallMs).toBeGreaterThan(metrics.gpuMs + 99);
  expect(tuned).toEqual([
    { name: 'kernel a', tokens: 1, variant: 'fast', gain: expect.closeTo(2, 5) },
    { name: 'kernel b', tokens: 1, variant: 'default', gain: 1 },
  ]);
  expect(lines).toEqual([expect.stringMatching(/^Tuned 2 of 2 kernels to this adapter, in \d+ ms \(\d+ ms on the GPU, 3 pipelines\)\.$/)]);
});

test('a kernel that has no variant but the default is none to tune', async () => {
  const { tuner, tune } = start([fakeTunable('a', 1, { default: 1 })]);
  await tune();
  expect(tuner.metrics()).toMatchObject({ state: 'off', numKernels: 0, kernels: [] });
});

test('within 10 s of which most compiles; what was not tried keeps its default, and the next load goes on with it', async () => {
  const known = new Map<string, BestVariant>();
  const tried: string[] = [];
  for (let load = 0; load < 20; load++) {
    const time = new VirtualTime();
    const tunables = kernels(12, SPEEDS, { time, compileMs: () => 1500 }, known);
    const { tuner, saved, lines, tune } = start(tunables, { time, known });
    await tune();
    const { state, wallMs, kernels: tuned } = tuner.metrics();
    expect(wallMs).toBeLessThanOrEqual(10_000);
    expect(time.now).toBeCloseTo(wallMs, 5);
    tried.push(...tunables.flatMap(({ key, prepared }) => prepared.flat().map((name) => `${key} ${name}`)));
    for (const [key, best] of saved) known.set(key, best);
    expect(tuned).toHaveLength(known.size);
    expect(tunables.map(({ variant }) => variant)).toEqual(tunables.map(({ key }) => (known.has(key) ? 'fast' : 'default')));
    if (state !== 'limited') break;
    expect(saved.length).toBeGreaterThan(2);
    expect(lines).toEqual([expect.stringMatching(/The next load goes on\.$/)]);
  }
  expect(known.size).toBe(12);
  // Each candidate was compiled once, over all loads.
  expect(tried).toHaveLength(24);
  expect(new Set(tried).size).toBe(24);
  const all = start(kernels(12, SPEEDS, {}, known), { known });
  expect(all.tuner.metrics().state).toBe('cached');
});

test('a variant of the first trial that compiles for long takes half of the time, and waits for the next load', async () => {
  const time = new VirtualTime();
  const compileMs = (variant: string) => (variant === 'slow' ? 60_000 : 10);
  const tunables = [fakeTunable('a', 1, SPEEDS, { time, compileMs }), fakeTunable('b', 1, { default: 1, fast: 0.5 }, { time, compileMs })];
  const { tuner, saved, tune } = start(tunables, { time });
  await tune();
  expect(time.now).toBeGreaterThan(5000);
  expect(time.now).toBeLessThan(6000);
  expect(tunables.map(({ prepared }) => prepared)).toEqual([[['fast', 'slow']], [['fast']]]);
  expect(saved).toMatchObject([['a', { variant: 'fast', tried: ['fast'] }], ['b', { variant: 'fast', tried: ['fast'] }]]);
  expect(tuner.metrics()).toMatchObject({ state: 'limited', kernels: { length: 2 } });
});

test('where nothing compiles in time nothing counts as tried; a variant that does not compile does', async () => {
  const time = new VirtualTime();
  const long = start([fakeTunable('a', 1, SPEEDS, { time, compileMs: () => 60_000 })], { time });
  await long.tune();
  expect(long.saved).toEqual([]);
  expect(long.tuner.metrics()).toMatchObject({ state: 'limited', wallMs: 5000, kernels: [] });

  const refused = start([fakeTunable('a', 1, SPEEDS, { compileMs: () => undefined })]);
  await refused.tune();
  expect(refused.saved).toMatchObject([['a', { variant: 'default', tried: ['fast', 'slow'] }]]);
  expect(refused.tuner.metrics()).toMatchObject({ state: 'done', kernels: [{ variant: 'default', gain: 1 }] });
});

test('at most 64 pipelines: seven of each kernel, the most promising first, and the others at later loads', async () => {
  const known = new Map<string, BestVariant>();
  const speeds = manySpeeds(10);
  const loads: (readonly (readonly string[])[][])[] = [];
  for (let load = 0; load < 3; load++) {
    const tunables = kernels(12, speeds, {}, known);
    const { tuner, saved, tune } = start(tunables, { known });
    await tune();
    for (const [key, best] of saved) known.set(key, best);
    loads.push(tunables.map(({ prepared }) => prepared));
    expect(tuner.metrics()).toMatchObject([{ state: 'limited', pipelinesCompiled: 64 }, { state: 'done', pipelinesCompiled: 56 }, { state: 'cached', pipelinesCompiled: 0 }][load] ?? {});
  }
  const seven = ['v0', 'v1', 'v2', 'v3', 'v4', 'v5', 'v6'];
  const three = ['v7', 'v8', 'v9'];
  const [first, second, third] = loads;
  expect(first).toEqual([...Array.from({ length: 9 }, () => [seven]), [['v0']], [], []]);
  // Kernels without a trial come before the rest of the others.
  expect(second).toEqual([...Array.from({ length: 9 }, () => [three]), [['v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7'], ['v8', 'v9']], [seven, three], [seven, three]]);
  expect(third?.flat()).toEqual([]);
});

test('a second trial is against the best of the first, and both gains count', async () => {
  const tunable = fakeTunable('a', 1, manySpeeds(10));
  const { tuner, saved, tune } = start([tunable]);
  await tune();
  expect(saved.map(([, { variant, tried }]) => [variant, tried.length])).toEqual([['v6', 7], ['v9', 10]]);
  expect(tunable.trial.runs.filter(({ variant }) => variant === 'default').length).toBeGreaterThan(0);
  expect(tuner.metrics().kernels).toMatchObject([{ variant: 'v9', gain: expect.closeTo(0.2 / 0.145, 3) }]);
});

test('on a slow GPU the limit of its own time is kept, and the trial that does not fit is not begun', async () => {
  const tunables = kernels(40, SPEEDS, {});
  const { tuner, saved, tune } = start(tunables, { limits: { ...LIMITS, gpuMs: 300 } });
  await tune();
  const spent = tunables.flatMap(({ trial }) => trial.runs).reduce((sum, { ms }) => sum + ms, 0);
  expect(spent).toBeLessThan(300);
  expect(spent).toBeGreaterThan(200);
  expect(saved.length).toBeGreaterThan(2);
  expect(tunables.flatMap(({ trial }) => trial.used)).toHaveLength(saved.length);
  expect(tunables.filter(({ isPrepared }) => isPrepared)).toHaveLength(saved.length);
  expect(tuner.metrics()).toMatchObject({ state: 'limited', numKernels: 40, kernels: { length: saved.length } });
});

test('a limit that is reached in a trial ends it, and nothing of it is used', async () => {
  const time = new VirtualTime();
  const tunable = fakeTunable('a', 1, SPEEDS, { time });
  tunable.trial.onRun = () => 3000;
  const { tuner, saved, tune } = start([tunable], { time, limits: { ...LIMITS, gpuMs: Infinity } });
  await tune();
  expect(tunable.trial.runs).toHaveLength(4); // of 3 s each: none is begun after 10 s
  expect([saved, tunable.trial.used]).toEqual([[], []]);
  expect(tuner.metrics().state).toBe('limited');
});

test('what is known is not tried, nor is anything without a budget', async () => {
  const known = new Map([['a', { variant: 'fast', ms: 1, defaultMs: 3, tried: ['fast', 'slow'] }]]);
  const all = fakeTunable('a', 1, SPEEDS, { variant: 'fast' });
  const { tuner, tune } = start([all], { known });
  await tune();
  expect(tuner.metrics()).toEqual({
    state: 'cached', wallMs: 0, gpuMs: 0, pipelinesCompiled: 0, numKernels: 1,
    kernels: [{ name: 'kernel a', tokens: 1, variant: 'fast', gain: 3 }], rejected: [],
  });
  const off = fakeTunable('b', 1, SPEEDS);
  const second = start([all, off], { known, limits: { wallMs: 0, gpuMs: 0, pipelines: 0 } });
  await second.tune();
  expect(second.tuner.metrics()).toMatchObject({ state: 'off', gpuMs: 0, kernels: [{ name: 'kernel a' }] });
  expect([all.isPrepared, off.isPrepared]).toEqual([false, false]);
});

test('the fastest variant is not used if it gives other bits; the next that is right is', async () => {
  const tunable = fakeTunable('a', 1, { default: 0.2, fast: 0.1, exits: 0.01, drops: 0.09, slow: 0.5 });
  const { trial } = tunable;
  trial.wrong.add('exits').add('drops');
  const { tuner, saved, lines, tune } = start([tunable]);
  await tune();
  expect(trial.checked).toEqual(['exits', 'drops', 'fast']); // by speed, and none that would not be used
  expect(trial.used).toEqual(['fast']);
  const { kernels: tuned, rejected, state } = tuner.metrics();
  expect(rejected).toEqual([{ kernel: 'kernel a', variant: 'exits' }, { kernel: 'kernel a', variant: 'drops' }]);
  expect([state, tuned]).toEqual(['done', [{ name: 'kernel a', tokens: 1, variant: 'fast', gain: expect.closeTo(2, 3) }]]);
  expect(saved.at(-1)).toEqual(['a', expect.objectContaining({ variant: 'fast', tried: expect.arrayContaining(['exits', 'drops', 'fast', 'slow']) })]);
  expect(lines.filter((line) => line.includes('wrong numbers'))).toEqual([
    expect.stringMatching(/on this GPU \(some GPU\) and is not used: kernel a for up to 1 tokens, exits\.$/), expect.stringMatching(/drops\.$/),
  ]);
});

test('where every faster variant is wrong the default stays, and none is tried again', async () => {
  const tunable = fakeTunable('a', 1, SPEEDS);
  tunable.trial.wrong.add('fast');
  const { saved, tune } = start([tunable]);
  await tune();
  expect(tunable.trial.used).toEqual(['default']);
  const known = new Map(saved);
  const next = fakeTunable('a', 1, SPEEDS);
  const second = start([next], { known });
  await second.tune();
  expect([second.tuner.metrics().state, next.isPrepared]).toEqual(['cached', false]);
});

test('a wrong variant is remembered where a limit ends its trial', async () => {
  const time = new VirtualTime();
  const tunable = fakeTunable('a', 1, SPEEDS, { time });
  const { trial } = tunable;
  trial.wrong.add('fast');
  trial.onRun = () => (trial.checked.length > 0 ? 60_000 : 0);
  const { saved, tuner, tune } = start([tunable], { time });
  await tune();
  expect(trial.used).toEqual([]);
  expect(saved).toEqual([['a', { variant: 'default', ms: 1, defaultMs: 1, tried: ['fast'] }]]);
  expect(tuner.metrics()).toMatchObject({ state: 'limited', rejected: [{ variant: 'fast' }] });
});

test('a request that comes waits for one run; then the trial rests until the GPU is free, and the wait does not count', async () => {
  const time = new VirtualTime();
  const tunable = fakeTunable('a', 1, SPEEDS, { time });
  const { trial } = tunable;
  const { tuner, gpuLock, tune } = start([tunable], { time });
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
  await time.pass(60_000);
  const release = await held;
  trial.onRun = () => {
    expect(gpuLock.numHolders).toBe(0);
  };
  release();
  await tuned;
  expect(trial.used).toEqual(['fast']);
  expect(tuner.metrics().wallMs).toBeCloseTo(time.now - 60_000, 5);
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

test('nothing begins while all tabs are hidden', async () => {
  const time = new VirtualTime();
  time.clock.setVisible(false);
  const tunable = fakeTunable('a', 1, SPEEDS, { time });
  const { tuner, tune } = start([tunable], { time });
  const tuned = tune();
  await settle();
  await time.pass(60_000);
  expect([tunable.isPrepared, tuner.metrics().state]).toEqual([false, 'idle']);
  time.clock.setVisible(true);
  await tuned;
  expect(tuner.metrics()).toMatchObject({ state: 'done', wallMs: expect.closeTo(time.now - 60_000, 5) });
});

test('a trial during which the last tab was hidden is run again, and nothing that it measured counts', async () => {
  const ofWhole = new VirtualTime();
  const whole = fakeTunable('a', 1, SPEEDS, { time: ofWhole });
  const undisturbed = start([whole], { time: ofWhole });
  await undisturbed.tune();
  const { length } = whole.trial.runs;
  for (let hidden = 1; hidden <= length; hidden += 3) {
    const time = new VirtualTime();
    const tunable = fakeTunable('a', 1, SPEEDS, { time });
    const { trial } = tunable;
    const { tuner, tune } = start([tunable], { time });
    trial.onRun = () => {
      if (trial.runs.length !== hidden - 1) return;
      time.clock.setVisible(false);
      return 7000; // throttled
    };
    const tuned = tune();
    while (time.clock.isVisible) await settle();
    await settle();
    expect(trial.runs).toHaveLength(hidden); // the one under way is the last
    expect([trial.used, tuner.metrics().state]).toEqual([[], 'idle']);
    await time.pass(60_000);
    expect(trial.runs).toHaveLength(hidden);
    time.clock.setVisible(true);
    await tuned;
    expect(trial.runs.slice(hidden)).toEqual(whole.trial.runs); // from the beginning
    expect(tunable.prepared).toHaveLength(1); // with what was compiled
    const [before, after] = [undisturbed.tuner.metrics(), tuner.metrics()];
    expect(after.kernels).toEqual(before.kernels);
    expect(after.state).toBe('done');
    expect(after.wallMs).toBeLessThan(2 * before.wallMs);
    expect(after.gpuMs).toBeLessThan(2 * before.gpuMs);
  }
});

test('a tab that was hidden and shown within one run spoils the trial all the same', async () => {
  const time = new VirtualTime();
  const tunable = fakeTunable('a', 1, SPEEDS, { time });
  const { trial } = tunable;
  const { saved, tune } = start([tunable], { time });
  let isSpoilt = false;
  trial.onRun = () => {
    if (isSpoilt || trial.runs.at(-1)?.variant !== 'slow') return;
    isSpoilt = true;
    time.clock.setVisible(false);
    time.clock.setVisible(true);
  };
  await tune();
  const starts = trial.runs.flatMap(({ dispatches }, i) => (dispatches === 0 ? [i] : []));
  expect(starts.length).toBe(6); // three empty submits begin each trial
  expect(saved).toMatchObject([['a', { variant: 'fast' }]]);
});

test('while all tabs are hidden compiling takes no time of the limit', async () => {
  const time = new VirtualTime();
  const tunable = fakeTunable('a', 1, SPEEDS, { time, compileMs: () => 30_000 });
  const { tuner, saved, tune } = start([tunable], { time });
  void time.sleep(1000).then(() => time.clock.setVisible(false));
  void time.sleep(29_000).then(() => time.clock.setVisible(true));
  await tune();
  expect(saved).toMatchObject([['a', { variant: 'fast' }]]);
  expect(tuner.metrics()).toMatchObject({ state: 'done', wallMs: expect.closeTo(time.now - 28_000, 5) });
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

test('stopped while a request runs, or while all tabs are hidden, it ends', async () => {
  const { gpuLock, queue } = start([fakeTunable('a', 1, SPEEDS)]);
  await gpuLock.hold();
  queue.onIdle();
  await settle();
  await queue.stop();

  const hidden = start([fakeTunable('a', 1, SPEEDS)]);
  hidden.time.clock.setVisible(false);
  hidden.queue.onIdle();
  await settle();
  await hidden.queue.stop();
});

test('a trial that fails ends them all, and no request', async () => {
  const tunable = fakeTunable('a', 1, SPEEDS);
  const { tuner, lines, tune } = start([tunable, fakeTunable('b', 1, SPEEDS)]);
  tunable.trial.onRun = () => Promise.reject(new Error('the GPU has a fault'));
  await tune();
  expect(lines).toEqual([expect.stringMatching(/not tuned any more.*the GPU has a fault/)]);
  expect(tuner.metrics()).toMatchObject({ state: 'failed', kernels: [] });
});
