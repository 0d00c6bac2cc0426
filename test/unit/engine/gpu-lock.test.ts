import { expect, test, vi } from 'vitest';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';

/** A task that ends when it is told to, and whether it has begun. */
function task() {
  let end = (): void => {};
  const begin = vi.fn(() => new Promise<void>((resolve) => (end = resolve)));
  return { begin, end: () => end() };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('shares are held by several at a time, an exclusive task runs without any', async () => {
  const lock = new GpuLock();
  const [first, second] = [await lock.hold(), await lock.hold()];
  const { begin, end } = task();
  void lock.exclusive(begin);
  first();
  first(); // counts once
  await settle();
  expect(begin).not.toHaveBeenCalled();
  second();
  expect(lock.numHolders).toBe(0);
  const third = lock.hold();
  await settle();
  expect(begin).toHaveBeenCalledTimes(1);
  expect(lock.numHolders).toBe(0);
  end();
  await third;
  expect([lock.numHolders, lock.numHolds]).toEqual([1, 3]);
});

test('exclusive tasks run one at a time, in order; whoever wants a share waits for one of them', async () => {
  const lock = new GpuLock();
  const [one, two] = [task(), task()];
  void lock.exclusive(one.begin);
  void lock.exclusive(two.begin);
  const held = lock.hold();
  one.end();
  const release = await held;
  expect(two.begin).not.toHaveBeenCalled();
  release();
  await settle();
  expect(two.begin).toHaveBeenCalledTimes(1);
});

test('a task that fails gives the GPU back', async () => {
  const lock = new GpuLock();
  await expect(lock.exclusive(() => Promise.reject(new Error('fault')))).rejects.toThrow('fault');
  await expect(lock.shared(() => Promise.reject(new Error('fault')))).rejects.toThrow('fault');
  expect(await lock.exclusive(async () => 1)).toBe(1);
});

test('one that is given up while it waits never begins, and holds up nobody behind it', async () => {
  const lock = new GpuLock();
  const release = await lock.hold();
  const given = new AbortController();
  const begin = vi.fn(async () => {});
  const waiting = lock.exclusive(begin, given.signal);
  const behind = lock.exclusive(async () => 'behind');
  given.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
  release();
  expect(await behind).toBe('behind');
  expect(begin).not.toHaveBeenCalled();
});
