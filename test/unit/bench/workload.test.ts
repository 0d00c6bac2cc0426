import { expect, test } from 'vitest';
import { lengthsAround, poissonArrivals, promptOf, scaleThrough, wordsFor } from '../../../demo/bench/workload.ts';
import { gaps, mean } from '../../../demo/bench/statistics.mjs';

test('arrivals are the same for the same seed, and begin at 0', () => {
  const arrivals = poissonArrivals(1, 2, 5);
  expect(arrivals.map(Math.round)).toEqual([0, 346, 347, 610, 2000]);
  expect(poissonArrivals(1, 2, 5)).toEqual(arrivals);
  expect(poissonArrivals(2, 2, 5)).not.toEqual(arrivals);
  expect(poissonArrivals(1, 4, 5).map((ms) => ms * 2)).toEqual(arrivals);
  expect(poissonArrivals(1, 2, 1)).toEqual([0]);
  expect(poissonArrivals(1, 2, 0)).toEqual([]);
});

test('arrivals come at the rate asked for, with exponential gaps', () => {
  for (const seed of [1, 2, 3]) {
    const times = poissonArrivals(seed, 50, 4001);
    expect(times.at(-1)).toBeCloseTo(80_000, 3); // 4,000 gaps of 20 ms
    const between = gaps(times);
    expect(Math.min(...between)).toBeGreaterThanOrEqual(0);
    // Of an exponential distribution 63.2 % are below the mean, and the deviation is the mean.
    expect(between.filter((gap) => gap < 20).length / 4000).toBeCloseTo(0.632, 1);
    expect(Math.sqrt(mean(between.map((gap) => (gap - 20) ** 2)))).toBeGreaterThan(18.5);
    expect(Math.sqrt(mean(between.map((gap) => (gap - 20) ** 2)))).toBeLessThan(21.5);
  }
});

test('lengths are spread evenly around their mean', () => {
  const lengths = lengthsAround(7, 100, 0.25, 2000);
  expect(Math.min(...lengths)).toBeLessThanOrEqual(76);
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(75);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(125);
  expect(mean(lengths)).toBeCloseTo(100, -1);
  expect(lengthsAround(7, 100, 0.25, 2000)).toEqual(lengths);
});

test('a prompt has the words that its number of tokens takes', () => {
  const scale = scaleThrough({ words: 1, tokens: 37 }, { words: 33, tokens: 101 });
  expect(scale).toEqual({ overhead: 35, tokensPerWord: 2 });
  expect(wordsFor(101, scale)).toBe(33);
  expect(wordsFor(10, scale)).toBe(1);
  expect(promptOf(3, 33).split(': ')[1]?.split(' ')).toHaveLength(33);
  expect(promptOf(3, 33)).toBe(promptOf(3, 33));
  expect(promptOf(3, 33)).not.toBe(promptOf(4, 33));
});
