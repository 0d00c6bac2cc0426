// @ts-check
import { medianInterval } from './bootstrap.mjs';
import { formatProfile } from './profile-table.mjs';
import { constantDimensions, rowName } from '../../demo/bench/rows.mjs';
import { isAboveCeiling } from '../../demo/bench/above-ceiling.mjs';
import { median } from '../../demo/bench/statistics.mjs';

/**
 * @typedef {import('./report.mjs').Results} Results
 * @typedef {import('../../demo/bench/row.ts').BenchRow} BenchRow
 */

/** What stands beside a figure that is more than the adapter can do. */
const IMPOSSIBLE = 'ABOVE THE CEILING';

/** The table that people read: each row's median, range, interval, samples and share of the adapter's ceiling.
 * @param {Results} results */
export function formatResults(results) {
  const { rows, caveats, clean, leftOut } = results;
  const left = leftOut.length === 0 ? [] : [`Left out: ${leftOut.join('; ')}.`];
  const verdict = clean ? 'Clean run.' : `NOT a clean run: ${caveats.join('; ')}.`;
  const head = alignColumns(headLines(results), 1);
  return [...head, ...rowTable(rows), ...profileTables(results), '', ...left, verdict].join('\n');
}

/** @param {Results} results */
function headLines({ head, details }) {
  const { adapter, model, runtime, loadAverage, cores } = head;
  const { vendor, architecture, device, description, isSoftware } = adapter;
  const name = [vendor, architecture, device, description].filter((part) => part !== '');
  const features = adapter.features.length === 0 ? 'no optional features' : adapter.features.join(', ');
  const tuning = /** @type {{ tuning: Tuning }[]} */ (details['engine'] ?? []).at(-1)?.tuning;
  return [
    ['adapter', `${name.join(' ')} (${features}${isSoftware ? ', software' : ''})`],
    ['in', `${runtime}, commit ${head.commit}`],
    ['load average', `${loadAverage?.toFixed(2) ?? 'unknown'} on ${cores} cores (${head.cpu})`],
    ...(model === null ? [] : [['model', `${model.name} (${model.file})`]]),
    ...(tuning === undefined ? [] : [['tuning', tuningInWords(tuning)]]),
  ];
}

/** @typedef {import('../../src/core/tuning.ts').TuningMetrics} Tuning */
/** @param {Tuning} tuning */
function tuningInWords({ state, gpuMs, numKernels, kernels }) {
  if (state === 'off') return `off: ${numKernels} kernels as they are by default`;
  const faster = kernels.map(({ gain }) => gain).filter((gain) => gain > 1);
  const best = faster.length === 0 ? '' : `: ${significant(median(faster))}${range(faster)} times as fast`;
  return `${kernels.length} of ${numKernels} kernels tried in ${gpuMs.toFixed(0)} ms of the GPU's time; ${faster.length} gained${best}`;
}

/** Each part under its name, and what all of its rows have in common beside that.
 * @param {readonly BenchRow[]} rows */
function rowTable(rows) {
  const parts = [...new Set(rows.map(({ part }) => part))];
  const everywhere = constantDimensions(rows.filter(({ part }) => part !== 'limits'));
  const cells = parts.flatMap((part) => {
    const own = rows.filter((row) => row.part === part);
    const constant = own.length < 2 ? {} : constantDimensions(own);
    const told = new Set([...Object.keys(everywhere), ...Object.keys(constant)]);
    const common = Object.entries(constant).filter(([name]) => !(name in everywhere));
    const title = [part, ...common.map(([name, value]) => `${name} ${value}`)].join(', ');
    return [[''], [title], ...own.map((row) => [`  ${rowName(row, told)}`, ...figureCells(row)])];
  });
  return alignColumns(cells, 1);
}

/** @param {BenchRow} row */
function figureCells({ samples, unit, roofline }) {
  const interval = isConstant(samples) ? undefined : medianInterval(samples);
  const share = roofline === undefined ? '' : `${(100 * roofline).toFixed(1)} % of ceiling`;
  return [
    `${significant(median(samples))}${range(samples)} ${unit}`,
    interval === undefined ? '' : `95 %: ${significant(interval[0])}..${significant(interval[1])}`,
    `n = ${samples.length}`,
    isAboveCeiling(roofline) ? `${share}: ${IMPOSSIBLE}` : share,
  ];
}

/** Each with an empty line before it.
 * @param {Results} results */
function profileTables({ details }) {
  const profile = /** @type {import('../../demo/bench/figures.ts').ProfileFigures[]} */ (details['profile'] ?? []).at(-1);
  if (profile === undefined) return [];
  return [profile.decode, profile.prefill].flatMap((each) => ['', formatProfile(each)]);
}

/** Between what samples lie, where they differ.
 * @param {readonly number[]} samples */
export function range(samples) {
  if (isConstant(samples)) return '';
  return ` [${significant(Math.min(...samples))}..${significant(Math.max(...samples))}]`;
}

/** @param {readonly number[]} samples */
function isConstant(samples) {
  return samples.every((sample) => sample === samples[0]);
}

/** Three digits that count, and whole numbers as they are.
 * @param {number} value */
export function significant(value) {
  if (Number.isInteger(value)) return value.toLocaleString('en');
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

/** Lines of columns, each as wide as its widest cell; a line of one cell widens none.
 * @param {readonly (readonly string[])[]} lines
 * @param {number} gap spaces between columns, more by one */
export function alignColumns(lines, gap) {
  /** @type {number[]} */
  const widths = [];
  for (const cells of lines) {
    if (cells.length === 1) continue;
    cells.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  }
  return lines.map((cells) => cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' '.repeat(gap + 1)).trimEnd());
}
