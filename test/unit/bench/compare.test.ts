import { expect, test } from 'vitest';
import { medianInterval, ratioInterval } from '../../bench/bootstrap.mjs';
import { compareResults, differencesOf, formatComparison } from '../../bench/compare.mjs';
import type { BenchRow } from '../../../demo/bench/row.ts';
import { BENCH_HEAD, benchResults, benchRow } from '../../support/bench-results.ts';
import { createRandom } from '../../support/random.ts';

/** Measurements that scatter by 3 % around something. */
function noisy(seed: number, middle: number, count = 10): readonly number[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => middle * (1 + 0.03 * random.normal()));
}

/** What is said of one row that was so before and is so now. */
function verdictOn(before: BenchRow, after: BenchRow, threshold = 0.05) {
  const { both, isSlower } = compareResults(benchResults([before]), benchResults([after]), threshold);
  const { verdict, isBeyond, ratio } = both.at(-1) ?? {};
  expect(isBeyond).toBe(isSlower);
  return { verdict, isBeyond, ratio };
}

test('a row that was slowed by 15 % on purpose is slower, beyond the threshold', () => {
  const before = benchRow('decode', noisy(1, 100));
  const slowed = benchRow('decode', noisy(2, 85));
  expect(verdictOn(before, slowed)).toMatchObject({ verdict: 'slower', isBeyond: true });
  expect(verdictOn(before, slowed, 0.3)).toMatchObject({ verdict: 'slower', isBeyond: false });
  expect(verdictOn(slowed, before)).toMatchObject({ verdict: 'faster', isBeyond: false });
  const time = { unit: 'ms', better: 'lower' } as const;
  expect(verdictOn(benchRow('TTFT', noisy(3, 100), time), benchRow('TTFT', noisy(4, 115), time))).toMatchObject({
    verdict: 'slower', isBeyond: true,
  });
});

test('two samples of one distribution are hardly ever told apart', () => {
  const verdicts = Array.from({ length: 40 }, (_, i) => {
    return verdictOn(benchRow('decode', noisy(100 + i, 100)), benchRow('decode', noisy(200 + i, 100)));
  });
  expect(verdicts.filter(({ isBeyond }) => isBeyond)).toEqual([]);
  // One in twenty is what a 95 % interval means; of 40, more than 6 has a probability of 1 %.
  expect(verdicts.filter(({ verdict }) => verdict !== 'no difference shown').length).toBeLessThanOrEqual(6);
});

test('a verdict needs three samples of each', () => {
  expect(verdictOn(benchRow('decode', [100, 100]), benchRow('decode', [50, 50, 50]))).toEqual({
    verdict: 'too few samples', isBeyond: false, ratio: 0.5,
  });
  expect(medianInterval([1, 2])).toBeUndefined();
});

test('counts are the same or differ, and what is no time is better or worse', () => {
  const count = (value: number) => benchRow('dispatches', [value], { better: 'neither', unit: '' });
  expect([verdictOn(count(3), count(3)), verdictOn(count(3), count(4))].map(({ verdict }) => verdict)).toEqual(['same', 'differs']);
  const bytes = (value: number) => benchRow('heap', [value, value, value], { better: 'lower', unit: 'MiB' });
  expect(verdictOn(bytes(1), bytes(2))).toMatchObject({ verdict: 'worse', isBeyond: true });
  expect(verdictOn(bytes(0), bytes(0))).toMatchObject({ verdict: 'no difference shown', ratio: NaN });
});

test('a slower machine is told, and not held against the code', () => {
  const read = (speed: number) => benchRow('read', [speed, speed, speed], { part: 'limits', unit: 'GB/s' });
  const { both, isSlower } = compareResults(
    benchResults([], {}, { rows: [read(100)] }),
    benchResults([], {}, { rows: [read(50)] }),
    0.05,
  );
  expect(both).toEqual([expect.objectContaining({ verdict: 'slower' })]);
  expect(isSlower).toBe(false);
});

test('intervals hold the median, are seeded, and are narrower with more samples', () => {
  const samples = noisy(5, 100);
  const [low = NaN, high = NaN] = medianInterval(samples) ?? [];
  expect(low).toBeLessThan(100);
  expect(high).toBeGreaterThan(100);
  expect(medianInterval(samples)).toEqual([low, high]);
  const [lowOfMany = NaN, highOfMany = NaN] = medianInterval(noisy(5, 100, 200)) ?? [];
  expect(highOfMany - lowOfMany).toBeLessThan((high - low) / 2);
  expect(ratioInterval([1, 1, 1], [2, 2, 2])).toEqual([2, 2]);
});

test('runs on other adapters, models, browsers or suites do not compare', () => {
  const run = benchResults([]);
  expect(differencesOf(run, benchResults([], { date: '2027-01-01T00:00:00.000Z', commit: 'def' }))).toEqual([]);
  const other = benchResults([], {
    suite: 'dawn',
    adapter: { ...BENCH_HEAD.adapter, vendor: 'other' },
    runtime: 'Chromium 151.0',
    model: null,
  });
  expect(differencesOf(run, other).map((line) => line.split(':')[0])).toEqual(['suite', 'adapter', 'model', 'runtime']);
});

test('rows of one run only are listed, and the comparison says what it means', () => {
  const a = benchResults([benchRow('decode', noisy(1, 100)), benchRow('gone', [1])]);
  const b = benchResults([benchRow('decode', noisy(2, 85)), benchRow('new', [1], { dimensions: { batch: 4 } })]);
  const table = formatComparison(a, b, compareResults(a, b, 0.05), 0.05);
  expect(table).toMatch(/^engine: decode .* x 0\.8\d\d +\[0\.8\d\d\.\.0\.8\d\d\] +SLOWER by more than 5 %$/m);
  expect(table).toContain('Only in A:\n  engine: gone');
  expect(table).toContain('Only in B:\n  engine: new (batch 4)');
  expect(table.split('\n').at(-1)).toBe('B is slower.');
});
