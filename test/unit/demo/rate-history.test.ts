import { expect, test } from 'vitest';
import { RateHistory } from '../../../demo/src/rate-history.ts';

test('a rate is taken over a second, however often the counter is read', () => {
  const throughput = new RateHistory();
  // 4 tokens a second, read every 100 ms: a token comes with every second or third reading.
  for (let at = 0; at <= 3000; at += 100) throughput.add(at, Math.floor(at / 250));
  expect(throughput.samples.slice(-10)).toEqual(Array(10).fill(4));
});

test('a counter that stands still is a rate of 0, one that falls starts anew, and the history has an end', () => {
  const throughput = new RateHistory();
  for (let at = 0; at < 200; at++) throughput.add(at * 1000, 7);
  expect(throughput.samples).toEqual(Array(60).fill(0));
  throughput.add(200_000, 3);
  throughput.add(201_000, 13);
  expect(throughput.samples.slice(-2)).toEqual([0, 10]);
});
