import { describe, expect, test } from 'vitest';
import type { RequestTimes } from '../../../demo/bench/figures.ts';
import {
  distribution, failoverTimes, gaps, gapsAround, loadStatistics, median, percentile, tpotOf,
} from '../../../demo/bench/statistics.mjs';

/** Ten to the first text, then 20, 30 and 40; its end 5 later, with a token that says nothing. */
const ANSWER: RequestTimes = {
  sentAt: 1000,
  textMs: [10, 30, 60, 100],
  endMs: 105,
  promptTokens: 7,
  cachedTokens: 0,
  outputTokens: 5,
};
const QUICK: RequestTimes = { ...ANSWER, textMs: [20, 22], endMs: 22, promptTokens: 9, outputTokens: 2 };
const FAILED: RequestTimes = { ...ANSWER, textMs: [1, 2], endMs: 50, outputTokens: 0, error: 'queue_full' };
const SILENT: RequestTimes = { ...ANSWER, textMs: [], endMs: 23, outputTokens: 1 };

test('percentiles are between neighbours, whatever the order', () => {
  expect(percentile([40, 10, 30, 20], 50)).toBe(25);
  expect(percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 99)).toBeCloseTo(10.9, 9); // numpy.percentile
  expect(percentile([5], 99)).toBe(5);
  expect([percentile([3, 1, 2], 0), percentile([3, 1, 2], 100)]).toEqual([1, 3]);
  expect(percentile([], 99)).toBeNaN();
});

test('the median, of odd and even many', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test('a distribution says how many it is of', () => {
  expect(distribution([10, 20, 90])).toEqual({ mean: 40, p50: 20, p99: expect.closeTo(88.6, 9), count: 3 });
});

test('ITL is the time between texts, TPOT the mean of all tokens after the first', () => {
  expect(gaps([10, 30, 60, 100])).toEqual([20, 30, 40]);
  expect(gaps([10])).toEqual([]);
  expect(tpotOf(ANSWER)).toBe((105 - 10) / 4);
  expect(tpotOf({ ...ANSWER, outputTokens: 1 })).toBeUndefined();
});

test('a load counts what was completed, and all that failed or said nothing as failed', () => {
  const figures = loadStatistics([ANSWER, QUICK, FAILED, SILENT], 200);
  expect(figures).toEqual({
    completed: 2,
    failed: 2,
    promptTokens: 8,
    cachedTokens: 0,
    outputTokens: 7,
    durationSeconds: 0.2,
    outputTokensPerSecond: 35,
    requestsPerSecond: 10,
    meanInFlight: 1, // 105 + 22 + 50 + 23 of 200
    ttftMs: { mean: 15, p50: 15, p99: expect.closeTo(19.9, 9), count: 2 },
    itlMs: { mean: 23, p50: 25, p99: expect.closeTo(39.7, 9), count: 4 },
    tpotMs: { mean: 12.875, p50: 12.875, p99: expect.closeTo(23.5325, 9), count: 2 },
    e2eMs: { mean: 63.5, p50: 63.5, p99: expect.closeTo(104.17, 9), count: 2 },
  });
});

describe('gaps around a long prompt', () => {
  const window = { since: 100, from: 150, until: 200 };

  test('that end before it are before, those that it touches are during, the others neither', () => {
    const stream = [80, 101, 120, 145, 165, 190, 230, 240];
    expect(gapsAround([stream], window)).toEqual({ before: [19, 25], during: [20, 25, 40] });
  });

  test('one that outlasts it is during', () => {
    expect(gapsAround([[140, 260, 270]], window)).toEqual({ before: [], during: [120] });
  });

  test('none is between two answers', () => {
    expect(gapsAround([[110, 120], [180, 190]], window)).toEqual({ before: [10], during: [10] });
  });
});

test('a failover is timed from the last text before it', () => {
  const events = { injectedAt: 31, recoveringAt: 42, readyAt: 90 };
  const times = { injectedMs: -5, recoveringMs: 6, readyMs: 54, firstTextMs: 64 };
  expect(failoverTimes([10, 30, 36, 100, 110], events)).toEqual(times);
  // Text that was on its way when the tab was told is from before.
  const late = { injectedMs: -13, recoveringMs: -2, readyMs: 46, firstTextMs: 56 };
  expect(failoverTimes([10, 30, 36, 44, 100], events)).toEqual(late);
  expect(failoverTimes([10, 30, 36], events)).toBeUndefined();
  expect(failoverTimes([100, 110], events)).toBeUndefined();
  expect(failoverTimes([10, 30], { injectedAt: 31, recoveringAt: NaN, readyAt: NaN })).toBeUndefined();
});
