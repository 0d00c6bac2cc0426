// @ts-check
import { MIN_SAMPLES, ratioInterval } from './bootstrap.mjs';
import { alignColumns, significant } from './format.mjs';
import { constantDimensions, rowKey, rowName } from '../../demo/bench/rows.mjs';
import { median } from '../../demo/bench/statistics.mjs';

/**
 * @typedef {import('./report.mjs').Results} Results
 * @typedef {import('../../demo/bench/row.ts').BenchRow} BenchRow
 * @typedef {'faster' | 'slower' | 'better' | 'worse' | 'no difference shown' | 'too few samples' | 'same' | 'differs'} Verdict
 *
 * @typedef {object} Compared one row of both
 * @property {BenchRow} row of the first
 * @property {number} a the medians
 * @property {number} b
 * @property {number} ratio b / a; NaN where a is 0
 * @property {import('./bootstrap.mjs').Interval | undefined} interval of the ratio, 95 %; undefined for too few samples
 * @property {Verdict} verdict what the interval says of b
 * @property {boolean} isBeyond whether b is slower, or worse, by more than the threshold; never the machine's own ceilings
 */

/** Units of a second or a part of it, or of something in one: rows in them are faster or slower, others better or worse. */
const TIMES = /(^|\/)(s|ms|us)$|^ms /;

/** What keeps figures of two runs from being compared, in words.
 * @param {Results} a
 * @param {Results} b */
export function differencesOf(a, b) {
  const facts = (/** @type {Results} */ { head }) => ({
    suite: head.suite,
    adapter: ['vendor', 'architecture', 'device', 'description'].map((key) => Reflect.get(head.adapter, key)).filter(Boolean).join(' '),
    model: head.model === null ? 'none' : `${head.model.file} ${head.model.sha256.slice(0, 12)}`,
    runtime: head.runtime,
  });
  const [left, right] = [facts(a), facts(b)];
  return Object.entries(left).flatMap(([name, value]) => {
    const other = Reflect.get(right, name);
    return value === other ? [] : [`${name}: ${value}, and ${other}`];
  });
}

/**
 * Each row that both runs have, and those that one has. A row is faster or slower where the 95 % interval of the ratio of
 * its medians does not hold 1.
 *
 * @param {Results} a
 * @param {Results} b
 * @param {number} threshold from which share a row is slower beyond it: 0.05
 */
export function compareResults(a, b, threshold) {
  const inB = new Map(b.rows.map((row) => [rowKey(row), row]));
  const keysOfA = new Set(a.rows.map(rowKey));
  const both = a.rows.flatMap((row) => {
    const other = inB.get(rowKey(row));
    return other === undefined ? [] : [compareRows(row, other, threshold)];
  });
  return {
    both,
    onlyA: a.rows.filter((row) => !inB.has(rowKey(row))),
    onlyB: b.rows.filter((row) => !keysOfA.has(rowKey(row))),
    isSlower: both.some(({ isBeyond }) => isBeyond),
  };
}

/** @param {BenchRow} row
 * @param {BenchRow} other
 * @param {number} threshold
 * @returns {Compared} */
function compareRows(row, other, threshold) {
  const [a, b] = [median(row.samples), median(other.samples)];
  const ratio = a === 0 ? NaN : b / a;
  const interval = ratioInterval(row.samples, other.samples);
  const compared = { row, a, b, ratio, interval };
  if (row.better === 'neither') return { ...compared, verdict: a === b ? 'same' : 'differs', isBeyond: false };
  if (interval === undefined) return { ...compared, verdict: 'too few samples', isBeyond: false };
  const isHigher = row.better === 'higher';
  const isTime = TIMES.test(row.unit);
  // NaN, of nothing over nothing, shows no difference.
  const isGain = isHigher ? interval[0] > 1 : interval[1] < 1;
  const isLoss = isHigher ? interval[1] < 1 : interval[0] > 1;
  if (isGain) return { ...compared, verdict: isTime ? 'faster' : 'better', isBeyond: false };
  if (!isLoss) return { ...compared, verdict: 'no difference shown', isBeyond: false };
  const speed = isHigher ? b / a : a / b;
  return { ...compared, verdict: isTime ? 'slower' : 'worse', isBeyond: row.part !== 'limits' && speed < 1 - threshold };
}

/** The comparison for people.
 * @param {Results} a
 * @param {Results} b
 * @param {ReturnType<typeof compareResults>} comparison
 * @param {number} threshold */
export function formatComparison(a, b, { both, onlyA, onlyB, isSlower }, threshold) {
  const told = new Set(Object.keys(constantDimensions([...a.rows, ...b.rows].filter(({ part }) => part !== 'limits'))));
  const name = (/** @type {BenchRow} */ row) => `${row.part}: ${rowName(row, told)}`;
  const lines = both.map(({ row, a: before, b: after, ratio, interval, verdict, isBeyond }) => [
    name(row),
    `${significant(before)} -> ${significant(after)} ${row.unit}`,
    Number.isNaN(ratio) ? '' : `x ${ratio.toFixed(3)}`,
    interval === undefined || Number.isNaN(ratio) ? '' : `[${interval[0].toFixed(3)}..${interval[1].toFixed(3)}]`,
    isBeyond ? `${verdict.toUpperCase()} by more than ${significant(100 * threshold)} %` : verdict,
  ]);
  const runs = [a, b].map(({ head, clean, caveats }, i) => {
    return `${'AB'[i]}: commit ${head.commit}, ${head.date}, ${head.command}${clean ? '' : ` (NOT clean: ${caveats.join('; ')})`}`;
  });
  return [
    ...runs,
    '',
    ...alignColumns(lines, 1),
    ...listed('Only in A', onlyA.map(name)),
    ...listed('Only in B', onlyB.map(name)),
    '',
    `Ratios are B / A, of medians, with 95 % bootstrap intervals; a verdict needs ${MIN_SAMPLES} samples of each.`,
    isSlower ? 'B is slower.' : 'Nothing is shown to be slower.',
  ].join('\n');
}

/** @param {string} title
 * @param {readonly string[]} names */
function listed(title, names) {
  return names.length === 0 ? [] : ['', `${title}:`, ...names.map((name) => `  ${name}`)];
}
