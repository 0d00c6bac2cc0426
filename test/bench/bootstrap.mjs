// @ts-check
import { seededRandom } from '../../demo/bench/seeded-random.mjs';
import { median, percentile } from '../../demo/bench/statistics.mjs';

/** Of each interval. */
const RESAMPLES = 4000;

/** Fewer samples than this tell nothing about their spread. */
export const MIN_SAMPLES = 3;

/** @typedef {readonly [low: number, high: number]} Interval */

/**
 * The percentile bootstrap (B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): between
 * what 95 % of the medians lie of samples drawn anew, with replacement, from the samples. Seeded.
 *
 * @param {readonly number[]} samples
 * @returns {Interval | undefined} undefined for fewer than three samples
 */
export function medianInterval(samples) {
  if (samples.length < MIN_SAMPLES) return undefined;
  const random = seededRandom(1).uniform;
  return interval(() => median(resample(samples, random)));
}

/**
 * Likewise of the ratio of two medians, `b` over `a`, each of whose samples are drawn anew independently.
 *
 * @param {readonly number[]} a
 * @param {readonly number[]} b
 * @returns {Interval | undefined}
 */
export function ratioInterval(a, b) {
  if (Math.min(a.length, b.length) < MIN_SAMPLES) return undefined;
  const random = seededRandom(1).uniform;
  return interval(() => median(resample(b, random)) / median(resample(a, random)));
}

/** @param {() => number} draw
 * @returns {Interval} */
function interval(draw) {
  const values = Array.from({ length: RESAMPLES }, draw);
  return [percentile(values, 2.5), percentile(values, 97.5)];
}

/** @param {readonly number[]} samples
 * @param {() => number} random */
function resample(samples, random) {
  return samples.map(() => samples[Math.floor(random() * samples.length)] ?? NaN);
}
