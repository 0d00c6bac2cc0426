import { expect, test } from 'vitest';
import { Doorbell } from '../../../src/engine/doorbell.ts';

/** Whether a promise has been settled once everything that can happen now has happened. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  void promise.then(() => (settled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

test('waits for a ring, each time anew', async () => {
  const doorbell = new Doorbell();
  for (let i = 0; i < 3; i++) {
    const waiting = doorbell.wait();
    expect(await isSettled(waiting)).toBe(false);
    doorbell.ring();
    expect(await isSettled(waiting)).toBe(true);
  }
});

test('a ring before the wait is not lost, several are one', async () => {
  const doorbell = new Doorbell();
  doorbell.ring();
  doorbell.ring();
  expect(await isSettled(doorbell.wait())).toBe(true);
  expect(await isSettled(doorbell.wait())).toBe(false);
});
