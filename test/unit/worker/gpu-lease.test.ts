import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Locks } from '../../../src/core/locks.ts';
import { GPU_CHANNEL, GPU_LOCK, GpuLease } from '../../../src/worker/gpu-lease.ts';
import { FakeChannels } from '../../support/fake-channels.ts';
import { FakeLocks } from '../../support/fake-locks.ts';

const QUERY_MS = 10_000;
const WANTED = { type: 'gpu-wanted' };
const UNWANTED = { type: 'gpu-unwanted' };

let locks: FakeLocks;
let channels: FakeChannels;
/** Lets everything happen that waits for no timer. */
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  locks = new FakeLocks();
  channels = new FakeChannels();
});
afterEach(() => void vi.useRealTimers());

/** An engine's lease. `changes` has each change of whether another engine wants it. */
function engine(its: Locks = locks.locks) {
  const changes: boolean[] = [];
  const lease = new GpuLease({ locks: its, channel: channels.open(), onWantedChange: () => changes.push(lease.isWanted) });
  return { lease, changes };
}

/** A lease that is asked for, and how it is given up. */
function ask({ lease }: ReturnType<typeof engine>) {
  const giveUp = new AbortController();
  const held = lease.acquire(() => {}, giveUp.signal).then(() => 'held', () => 'given up');
  return { held, giveUp };
}

async function holder() {
  const holds = engine();
  expect(await ask(holds).held).toBe('held');
  await settle();
  return holds;
}

test('the names and the messages that cross releases are these', async () => {
  expect([GPU_LOCK, GPU_CHANNEL]).toEqual(['tabserve:gpu', 'tabserve:gpu']);
  await holder();
  expect(channels.posted).toEqual([]); // nobody has to wait
  const { giveUp } = ask(engine());
  await settle();
  expect(channels.posted).toEqual([WANTED]);
  giveUp.abort();
  await settle();
  expect(channels.posted).toEqual([WANTED, UNWANTED]);
});

test('the engine that has it learns at once that another one wants it, and the other one has it next', async () => {
  const first = await holder();
  const second = engine();
  const { held } = ask(second);
  await settle();
  expect([first.lease.isWanted, first.changes]).toEqual([true, [true]]);
  first.lease.release();
  expect(await held).toBe('held');
  await settle();
  expect([first.lease.isWanted, second.lease.isWanted, second.changes]).toEqual([false, false, []]);
  expect(channels.posted).toEqual([WANTED]); // one that was granted is not given up
});

test('a message from before it is held is not lost: the lock is queried then', async () => {
  const first = await holder();
  const second = engine();
  const { held } = ask(second);
  void ask(engine()); // its message comes while the second one does not have the lease
  await settle();
  expect(second.lease.isWanted).toBe(false);
  first.lease.release();
  expect(await held).toBe('held');
  await settle();
  expect([second.lease.isWanted, second.changes]).toEqual([true, [true]]);
});

test('it is wanted until the last one that waits has given up', async () => {
  const { lease, changes } = await holder();
  const [second, third] = [ask(engine()), ask(engine())];
  await settle();
  second.giveUp.abort();
  expect(await second.held).toBe('given up');
  await settle();
  expect([lease.isWanted, changes]).toEqual([true, [true]]);
  third.giveUp.abort();
  await settle();
  expect([lease.isWanted, changes]).toEqual([false, [true, false]]);
});

test('a message is sent once the lock manager has the change', async () => {
  await holder();
  const order: string[] = [];
  const query = locks.locks.query.bind(locks.locks);
  const observed = {
    request: (...args: Parameters<Locks['request']>) => {
      order.push('request');
      return locks.locks.request(...args);
    },
    query: () => {
      order.push('query');
      return query();
    },
  } as Locks;
  channels.open().addEventListener('message', ({ data }: MessageEvent<{ readonly type: string }>) => void order.push(data.type));
  const { giveUp } = ask(engine(observed));
  await settle();
  giveUp.abort();
  await settle();
  expect(order).toEqual(['request', 'query', WANTED.type, 'query', UNWANTED.type]);
});

describe('engines of a release that sends no messages', () => {
  test('are seen within ten seconds, and so is their end', async () => {
    const { lease, changes } = await holder();
    const giveUp = new AbortController();
    void locks.locks.request(GPU_LOCK, { signal: giveUp.signal }, () => {}).catch(() => {});
    await vi.advanceTimersByTimeAsync(QUERY_MS - 1);
    expect(lease.isWanted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect([lease.isWanted, changes]).toEqual([true, [true]]);
    giveUp.abort();
    await vi.advanceTimersByTimeAsync(QUERY_MS);
    expect([lease.isWanted, changes]).toEqual([false, [true, false]]);
  });

  test('are looked for only while the lease is held', async () => {
    const { lease } = await holder();
    expect(vi.getTimerCount()).toBe(1);
    lease.release();
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('a message alone makes nobody give way', async () => {
  const { lease, changes } = await holder();
  const stranger = channels.open();
  for (const message of [WANTED, UNWANTED, { type: 'other' }, 'gpu-wanted', null]) stranger.postMessage(message);
  await settle();
  expect([lease.isWanted, changes]).toEqual([false, []]);
});
