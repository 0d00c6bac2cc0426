import { expect, test } from 'vitest';
import { AutoResetEvent } from '../../../src/engine/auto-reset-event.ts';

/** Whether a promise has been settled once everything that can happen now has happened. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  void promise.then(() => (settled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

test('waits until it is set, each time anew', async () => {
  const event = new AutoResetEvent();
  for (let i = 0; i < 3; i++) {
    const waiting = event.wait();
    expect(await isSettled(waiting)).toBe(false);
    event.set();
    expect(await isSettled(waiting)).toBe(true);
  }
});

test('set before the wait is not lost, several times are one', async () => {
  const event = new AutoResetEvent();
  event.set();
  event.set();
  expect(await isSettled(event.wait())).toBe(true);
  expect(await isSettled(event.wait())).toBe(false);
});
