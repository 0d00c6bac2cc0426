import { expect, test } from 'vitest';
import { parseRetryAfter, TransientFault, withRetries } from '../../../src/download/retry.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');

test.each([
  ['0', 0],
  ['120', 120_000],
  [' 5 ', 5000],
  ['Thu, 26 Nov 2026 12:00:30 GMT', 30_000],
  ['Thursday, 26-Nov-26 12:00:30 GMT', 30_000],
  ['Thu Nov 26 12:00:30 2026 GMT', 30_000],
  ['Thu, 26 Nov 2026 11:59:30 GMT', 0],
  ['-1', 0],
  ['1.5', 0],
  ['soon', 0],
  ['', 0],
  [null, 0],
])('Retry-After: %j', (header, ms) => {
  expect(parseRetryAfter(header, NOW)).toBe(ms);
});

test('each try is later than the one before, none before the server wants it, and progress starts anew', async () => {
  const waits: number[] = [];
  const sleep = async (ms: number): Promise<void> => void waits.push(ms);
  const policy = { attempts: 4, firstDelayMs: 500, maxDelayMs: 1500, sleep };
  let tries = 0;
  const attempt = async (): Promise<never> => {
    tries++;
    throw new TransientFault('No.', { retryAfterMs: tries === 5 ? 4000 : 0 });
  };
  // The third try gets something done.
  const progress = (): number => (tries >= 3 ? 1 : 0);
  await expect(withRetries(policy, undefined, () => {}, attempt, progress)).rejects.toMatchObject({
    code: 'download_failed',
    message: 'No. Gave up after 4 tries; try again later.',
  });
  expect(waits).toEqual([500, 1000, 500, 1000, 4000]);
});

test('a wait of over a minute is what the caller is told of', async () => {
  const policy = { attempts: 4, firstDelayMs: 500, maxDelayMs: 1500, sleep: () => Promise.resolve() };
  const attempt = (): Promise<never> => Promise.reject(new TransientFault('Busy.', { retryAfterMs: 60_001 }));
  await expect(withRetries(policy, undefined, () => {}, attempt)).rejects.toMatchObject({
    code: 'download_failed',
    details: { retryAfterMs: 60_001 },
  });
});
