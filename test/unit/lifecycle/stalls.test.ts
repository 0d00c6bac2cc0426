import { describe, expect, test } from 'vitest';
import { GPU_LOCK } from '../../../src/worker/gpu-lease.ts';
import type { EngineStatus, StalledStatus } from '../../../src/core/status.ts';
import type { SimulatedOrigin } from '../../support/simulation/origin.ts';

import { inWorld, outcome } from './scenario.ts';

/** A tab that loads `m`, and what it is told. */
function load(origin: SimulatedOrigin) {
  const statuses: EngineStatus[] = [];
  const tab = origin.openTab();
  const cancel = new AbortController();
  const onStatus = (status: EngineStatus): void => void statuses.push(status);
  const loading = tab.createClient('m', { onStatus, signal: cancel.signal });
  void outcome(loading);
  const stalls = (): StalledStatus[] => statuses.filter((status) => status.state === 'stalled');
  return { tab, loading, cancel, statuses, stalls };
}

/** What holds a load up, and what is told of it. */
const HOLDS: readonly (readonly [what: string, pattern: RegExp, waitsFor: string, message: RegExp])[] = [
  ['a server that does not answer', /^answer$/, 'network', /waits for bytes of https:\/\/app\.test\/m\.gguf: the server sends nothing/],
  ['a server that stops in the middle', /^bytes$/, 'network', /waits for bytes of https:\/\/app\.test\/m\.gguf/],
  ['a worker that downloads the same part', /^lock tabserve:download/, 'network', /a part of \S+ that another worker of this origin downloads/],
  ['the storage', /^manifests listed$/, 'storage', /storage/],
  ['a write to the storage', /^part written$/, 'storage', /storage/],
  ['the GPU process', /^adapter$/, 'gpu', /GPU process/],
  ['an upload', /^slice uploaded$/, 'gpu', /GPU process/],
  ['the compiler', /^compiled$/, 'compiler', /kernels/],
  ['the lease', new RegExp(`^lock ${GPU_LOCK}`), 'gpu_lease', /another engine of this origin/],
  ['a worker that does not start', /^lock tabserve:host/, 'worker', /worker, which does not answer/],
  ['a worker that does not answer', /^message to the tab$/, 'worker', /worker, which does not answer/],
  ['the tab’s own lock', /^lock tabserve:session/, 'worker', /a Web Lock of this tab/],
];

test.each(HOLDS)('%s that holds a load up is told after 10 s, again at growing intervals, and when it goes on', async (_what, pattern, waitsFor, message) => {
  await inWorld(1, async (world, origin) => {
    const release = world.hold(pattern);
    const began = Date.now();
    const { loading, statuses, stalls } = load(origin);
    await world.until(() => stalls().length === 1, 'being told');
    expect(Date.now() - began).toBeGreaterThanOrEqual(10_000);
    expect(Date.now() - began).toBeLessThan(13_000);
    expect(statuses).toMatchObject([{ state: 'stalled', waitsFor, message: expect.stringMatching(message) }]);
    const stalledMs = stalls()[0]?.stalledMs ?? NaN;
    await world.until(() => stalls().length === 2, 'being told again');
    expect(stalls()[1]?.stalledMs).toBeGreaterThanOrEqual(2 * stalledMs);
    release();
    await world.settle(loading, 'the load');
    expect(origin.log.filter((line) => message.test(line)).length).toBeGreaterThanOrEqual(2);
    expect(statuses.at(-1)).toEqual({ state: 'ready' });
    expect(statuses.map(({ state }) => state).join()).toMatch(/^stalled,stalled,(loading,)?ready$/);
  });
});

test('memory of a load that was given up', async () => {
  await inWorld(1, async (world, origin) => {
    origin.gpu.slowness = 1;
    const release = world.hold(/^memory given back$/);
    const uploaded = world.hold(/^slice uploaded$/);
    const given = load(origin);
    await world.until(() => origin.gpu.numDevices === 1, 'the first load');
    await world.pass(5);
    given.cancel.abort();
    uploaded();
    const { loading, stalls, statuses } = load(origin);
    await world.until(() => stalls().length === 1, 'being told');
    expect(stalls()).toMatchObject([{ waitsFor: 'gpu_memory', message: expect.stringContaining('a load which was given up') }]);
    release();
    await world.settle(loading, 'the load');
    expect(statuses.at(-1)).toEqual({ state: 'ready' });
  });
});

describe('a load that makes progress', () => {
  test('is told nothing of, however long it takes', async () => {
    await inWorld(1, async (world, origin) => {
      world.slownessMs = 1000;
      const began = Date.now();
      const { loading, statuses } = load(origin);
      await world.settle(loading, 'the load');
      expect(Date.now() - began).toBeGreaterThan(20_000);
      expect(statuses).toEqual([]);
    });
  });

  test('is told nothing of after it has ended', async () => {
    await inWorld(1, async (world, origin) => {
      const { loading, statuses } = load(origin);
      await world.settle(loading, 'the load');
      const later = Date.now() + 60_000;
      await world.until(() => Date.now() > later, 'a minute');
      expect(statuses).toEqual([]);
    });
  });
});

test('a tab that joins a load which stands still is told so at once', async () => {
  await inWorld(1, async (world, origin) => {
    const release = world.hold(/^adapter$/);
    const first = load(origin);
    await world.until(() => first.stalls().length === 1, 'being told');
    const began = Date.now();
    const second = load(origin);
    await world.until(() => second.stalls().length === 1, 'the other’s being told');
    expect(Date.now() - began).toBeLessThan(2000);
    release();
    await world.settle(Promise.all([first.loading, second.loading]), 'both loads');
    expect([first.statuses.at(-1), second.statuses.at(-1)]).toEqual([{ state: 'ready' }, { state: 'ready' }]);
  });
});

test('a recovery that stands still is told of, and is a recovery again when it goes on', async () => {
  await inWorld(1, async (world, origin) => {
    const { loading, statuses, stalls } = load(origin);
    await world.settle(loading, 'the load');
    const release = world.hold(/^compiled$/);
    origin.gpu.crash();
    await world.until(() => stalls().length === 1, 'being told');
    release();
    await world.until(() => statuses.at(-1)?.state === 'ready', 'the recovery');
    expect(statuses.map(({ state }) => state).join()).toMatch(/^recovering,stalled,recovering,ready$/);
  });
});

test('a worker that hangs while it loads does not keep an abort from being answered', async () => {
  await inWorld(1, async (world, origin) => {
    const { loading, cancel, stalls } = load(origin);
    await world.until(() => origin.gpu.numDevices === 1, 'the load');
    world.hold(/^message to/);
    await world.until(() => stalls().length === 1, 'being told');
    expect(stalls()).toMatchObject([{ waitsFor: 'worker' }]);
    const began = Date.now();
    cancel.abort();
    expect(await world.settle(outcome(loading), 'the load that was aborted')).toBe('aborted');
    expect(Date.now() - began).toBeLessThanOrEqual(1500);
  });
});

test('a worker that dies under a silent load: the next one’s is watched as well', async () => {
  await inWorld(1, async (world, origin) => {
    const release = world.hold(/^adapter$/);
    const { loading, stalls, statuses } = load(origin);
    await world.until(() => stalls().length === 1, 'being told');
    origin.worker().die();
    await world.until(() => stalls().length === 2, 'being told of the next');
    expect(stalls()[1]).toMatchObject({ waitsFor: 'gpu' });
    release();
    await world.settle(loading, 'the load');
    expect(statuses.at(-1)).toEqual({ state: 'ready' });
  });
});

