import { expect, test } from 'vitest';
import type { AdapterSummary } from '../../../src/core/metrics.ts';
import type { Tuning } from '../../../src/core/tuning.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { IdleQueue } from '../../../src/engine/idle-queue.ts';
import { KernelTuning } from '../../../src/tuning/kernel-tuning.ts';
import type { KernelWidths } from '../../../src/tuning/tunable.ts';
import type { TuningRecord, TuningStorage } from '../../../src/tuning/tuning-store.ts';
import { settle } from '../engine/virtual-gpu.ts';

const GPU: AdapterSummary = { vendor: 'v', architecture: 'a', device: 'd', description: '', isSoftware: false, features: [] };
const SOFTWARE = { ...GPU, isSoftware: true };

function memory(records = new Map<string, TuningRecord>()): TuningStorage {
  return {
    read: async (adapter) => records.get(adapter),
    update: async (adapter, change) => void records.set(adapter, change(records.get(adapter))),
  };
}

/** A kernel in four widths, three of which are compared with the first; these give other bits. */
class FakeWidths implements KernelWidths {
  readonly key: string;
  readonly compared: number[] = [];
  isPrepared = false;
  isNarrow = false;
  readonly comparisons: readonly (() => Promise<boolean>)[];
  constructor(readonly name: string, wrong: readonly number[] = [], onCompare = (): void => {}) {
    this.key = `key of ${name}`;
    this.comparisons = [2, 4, 8].map((width) => async () => {
      expect(this.isPrepared).toBe(true);
      this.compared.push(width);
      onCompare();
      return !wrong.includes(width);
    });
  }
  async prepare(): Promise<void> {
    this.isPrepared = true;
  }
  useNarrowest(): void {
    this.isNarrow = true;
  }
}

interface Load {
  readonly tuning?: Tuning;
  readonly adapter?: AdapterSummary;
  readonly storage?: TuningStorage | undefined;
}

function start(widths: readonly FakeWidths[], { tuning = 'auto', adapter = GPU, storage = memory() }: Load = {}) {
  const lines: string[] = [];
  const log = (_level: string, line: string): void => void lines.push(line);
  const state = { isBusy: false, failures: 0 };
  const gpuLock = new GpuLock();
  const check = new KernelTuning(tuning, () => storage, log).checkInvariance(adapter, widths, () => {
    expect([state.isBusy, gpuLock.numHolders]).toEqual([false, 0]);
    state.failures++;
  });
  const queue = new IdleQueue({ isBusy: () => state.isBusy, gpuLock, log });
  queue.add(check);
  const idle = (): Promise<void> => {
    queue.onIdle();
    return queue.settled();
  };
  return { check, idle, lines, state, gpuLock };
}

test('kernels that give the same bits in all widths are verified, once for an adapter and a model’s kernels', async () => {
  const storage = memory();
  const widths = [new FakeWidths('a'), new FakeWidths('b')];
  const { check, idle, state, lines } = start(widths, { storage });
  expect(check.result()).toEqual({ state: 'unverified' });
  await idle();
  expect(check.result()).toEqual({ state: 'verified' });
  expect(widths.map(({ compared }) => compared)).toEqual([[2, 4, 8], [2, 4, 8]]);
  expect([state.failures, lines]).toEqual([0, []]);

  for (const [again, measured] of [[{ storage }, 0], [{ storage, adapter: { ...GPU, device: 'e' } }, 3], [{ storage, tuning: 'force' }, 3]] as const) {
    const [a, b] = [new FakeWidths('a'), new FakeWidths('b')];
    const next = start([a, b], again);
    await next.idle();
    expect([next.check.result(), a.compared.length]).toEqual([{ state: 'verified' }, measured]);
  }
  const other = new FakeWidths('c');
  await start([other], { storage }).idle();
  expect(other.compared).toEqual([2, 4, 8]);
});

test('a kernel that does not takes one width from then on, and from the start of idle time at later loads', async () => {
  const storage = memory();
  for (const isKnown of [false, true]) {
    const widths = [new FakeWidths('a'), new FakeWidths('b', [4]), new FakeWidths('c')];
    const { check, idle, state, lines } = start(widths, { storage });
    await idle();
    expect(check.result()).toEqual({ state: 'failed', kernels: ['b'] });
    expect(widths.map(({ isNarrow }) => isNarrow)).toEqual([false, true, false]);
    expect(widths.map(({ compared }) => compared)).toEqual(isKnown ? [[], [], []] : [[2, 4, 8], [2, 4], [2, 4, 8]]);
    expect(state.failures).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/on this GPU \(v, a, d\)\..* one width.*slower: b\.$/)]);
    await idle(); // nor is anything done twice
    expect([state.failures, lines.length]).toEqual([1, 1]);
  }
});

test.each([
  ['on a software adapter', { adapter: SOFTWARE }],
  ['where tuning is off', { tuning: 'off' }],
] as const)('nothing is measured %s', async (_where, load) => {
  const widths = new FakeWidths('a', [2]);
  const { check, idle } = start([widths], load);
  await idle();
  expect([check.result(), widths.compared, widths.isPrepared]).toEqual([{ state: 'unverified' }, [], false]);
});

test('a software adapter is measured where trials are forced, and knows it at later loads', async () => {
  const storage = memory();
  const first = start([new FakeWidths('a')], { storage, adapter: SOFTWARE, tuning: 'force' });
  await first.idle();
  const later = start([new FakeWidths('a')], { storage, adapter: SOFTWARE });
  await later.idle();
  expect([first.check.result(), later.check.result()]).toEqual([{ state: 'verified' }, { state: 'verified' }]);
});

test('a request waits for one comparison, and no kernel changes while there is one', async () => {
  let busy = (): void => {};
  const widths = new FakeWidths('a', [2], () => busy());
  const { check, idle, state } = start([widths]);
  busy = () => {
    state.isBusy = true;
  };
  void idle();
  await settle();
  expect([check.result().state, widths.isNarrow, widths.compared]).toEqual(['unverified', false, [2]]);
  state.isBusy = false;
  await idle();
  expect([check.result().state, widths.isNarrow]).toEqual(['failed', true]);
});

test('what is kept of widths and of variants does not displace each other', async () => {
  const records = new Map<string, TuningRecord>();
  const storage = memory(records);
  await start([new FakeWidths('a', [8])], { storage }).idle();
  const [[adapter, record] = ['', undefined]] = records;
  const bestVariants = { key: { variant: 'v', ms: 1, defaultMs: 2, tried: ['v'] } };
  records.set(adapter, { version: record?.version ?? '', bestVariants, invariance: record?.invariance ?? {} });
  await start([new FakeWidths('b')], { storage }).idle();
  expect(records.get(adapter)?.bestVariants).toEqual(bestVariants);
  expect(Object.values(records.get(adapter)?.invariance ?? {})).toEqual([['a'], []]);
});
