// @ts-check
import { median } from './statistics.mjs';

/** @typedef {import('./row.ts').BenchRow} BenchRow */

/** What names a row in every run.
 * @param {Pick<BenchRow, 'part' | 'metric' | 'dimensions'>} row */
export function rowKey({ part, metric, dimensions }) {
  const sorted = Object.entries(dimensions).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([part, metric, sorted]);
}

/** A row's name for people, without the dimensions that are told elsewhere.
 * @param {Pick<BenchRow, 'metric' | 'dimensions'>} row
 * @param {ReadonlySet<string>} [told] */
export function rowName({ metric, dimensions }, told = new Set()) {
  const varied = Object.entries(dimensions).filter(([name]) => !told.has(name));
  return varied.length === 0 ? metric : `${metric} (${varied.map(([name, value]) => `${name} ${value}`).join(', ')})`;
}

/**
 * Rows of the same name become one, with the samples of all. A roofline is the median of those that there were.
 *
 * @param {readonly BenchRow[]} rows
 * @returns {BenchRow[]} in the order in which each name came first
 */
export function poolRows(rows) {
  /** @type {Map<string, BenchRow>} */
  const pooled = new Map();
  /** @type {Map<string, number[]>} */
  const rooflines = new Map();
  for (const { roofline, ...row } of rows) {
    const key = rowKey(row);
    const before = pooled.get(key);
    pooled.set(key, before === undefined ? row : { ...before, samples: [...before.samples, ...row.samples] });
    if (roofline !== undefined) rooflines.set(key, [...(rooflines.get(key) ?? []), roofline]);
  }
  return [...pooled].map(([key, row]) => {
    const shares = rooflines.get(key);
    return shares === undefined ? row : { ...row, roofline: median(shares) };
  });
}

/** Dimensions that have one value in all rows, which is told once; of models it is enough that no row names another.
 * @param {readonly BenchRow[]} rows */
export function constantDimensions(rows) {
  const values = (/** @type {string} */ name) => new Set(rows.map(({ dimensions }) => dimensions[name]));
  const names = new Set(rows.flatMap(({ dimensions }) => Object.keys(dimensions)));
  /** @type {Record<string, string | number>} */
  const constant = {};
  for (const name of names) {
    const [value, ...others] = [...values(name)].filter((each) => name !== 'model' || each !== undefined);
    if (value !== undefined && others.length === 0) constant[name] = value;
  }
  return constant;
}
