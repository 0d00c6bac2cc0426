import { expect, test } from 'vitest';
import { oneAtATime } from '../../../src/download/one-at-a-time.ts';
import { FakeLocks } from '../../support/fake-locks.ts';

test('one worker at a time does what has a name, and the lock’s name does not tell it', async () => {
  const locks = new FakeLocks();
  const url = 'https://models.example/private/customer.gguf?user=alice';
  const events: string[] = [];
  const run = (worker: string, name: string): Promise<void> =>
    oneAtATime(locks.locks)(name, async () => {
      events.push(`${worker} begins`);
      for (const lock of locks.held) expect(lock).not.toMatch(/https|models|customer|alice/);
      expect(locks.held.length).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 0));
      events.push(`${worker} ends`);
    });
  await Promise.all([run('a', url), run('b', url)]);
  expect([events[1], events[3]]).toEqual([events[0]?.replace('begins', 'ends'), events[2]?.replace('begins', 'ends')]);
  events.length = 0;
  await Promise.all([run('a', url), run('b', `${url}2`)]);
  expect(events.slice(0, 2).toSorted()).toEqual(['a begins', 'b begins']);
});
