import { expect, test } from 'vitest';
import { mergeTimings, RequestTimer } from '../../../src/client/timings.ts';

test('TTFT stops at the first text, ITL is the mean gap between tokens', () => {
  const timer = new RequestTimer(1000);
  timer.token(1100, ''); // half a code point
  timer.token(1150, 'é');
  timer.token(1300, 'x');
  expect(timer.timings()).toEqual({ queue_ms: undefined, ttft_ms: 150, itl_ms: 100, tokens_per_second: 10 });
  timer.finish(1400, '', 12);
  expect(timer.timings()).toEqual({ queue_ms: 12, ttft_ms: 150, itl_ms: 100, tokens_per_second: 10 });
});

test('what is not known is undefined', () => {
  const timer = new RequestTimer(0);
  expect(Object.values(timer.timings()).every((value) => value === undefined)).toBe(true);
  timer.token(5, 'x');
  expect(timer.timings()).toMatchObject({ ttft_ms: 5, itl_ms: undefined, tokens_per_second: undefined });
  timer.token(5, 'y'); // two tokens of one step
  expect(timer.timings()).toMatchObject({ itl_ms: 0, tokens_per_second: undefined });
});

test('text that was held back to the end stops TTFT too', () => {
  const timer = new RequestTimer(0);
  timer.token(5, '');
  timer.finish(9, 'held', 1);
  expect(timer.timings().ttft_ms).toBe(9);
});

test('of several choices: the first sign of life, the mean gap, all tokens together', () => {
  const none = { queue_ms: undefined, ttft_ms: undefined, itl_ms: undefined, tokens_per_second: undefined };
  const one = { queue_ms: 5, ttft_ms: 90, itl_ms: 10, tokens_per_second: 100 };
  const two = { queue_ms: 7, ttft_ms: 80, itl_ms: 20, tokens_per_second: 50 };
  expect(mergeTimings([one])).toEqual(one);
  expect(mergeTimings([none, none])).toEqual(none);
  expect(mergeTimings([one, none, two])).toEqual({ queue_ms: 5, ttft_ms: 80, itl_ms: 15, tokens_per_second: 150 });
});
