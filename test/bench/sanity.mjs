// @ts-check
import { isAboveCeiling } from '../../demo/bench/above-ceiling.mjs';
import { rowName } from '../../demo/bench/rows.mjs';
import { median } from '../../demo/bench/statistics.mjs';

/**
 * @typedef {import('../../demo/bench/row.ts').BenchRow} BenchRow
 * @typedef {import('./report.mjs').ModelFacts} ModelFacts
 */

/**
 * The most tokens a second that the adapter's ceilings leave room for: those of decode steps, each of which reads the
 * weights once for its whole batch and computes with them for each of its tokens; or those of prompts, which may share one
 * reading, and of which no token but the last needs the output's matrix. What else a step does only lowers it.
 *
 * @param {BenchRow} row
 * @param {readonly BenchRow[]} ceilings those of part `limits`
 * @param {ModelFacts} model
 * @returns {number | undefined} undefined for what is no speed of tokens, or where a ceiling is not known
 */
export function ceilingOf({ metric, dimensions, unit }, ceilings, { weightBytes, bodyMacs, headMacs }) {
  const read = highest(ceilings, 'read');
  const compute = highest(ceilings, COMPUTE[String(dimensions['numerics'] ?? 'f32')] ?? 'f32');
  if (unit !== 'tok/s' || read === undefined || compute === undefined) return undefined;
  const stepsPerSecond = (read * 1e9) / weightBytes;
  const perSecond = (/** @type {number} */ macs) => (compute * 1e9) / (2 * macs);
  if (metric === 'prefill') {
    return Math.min(perSecond(bodyMacs), stepsPerSecond * Number(dimensions['prompt'] ?? Infinity));
  }
  if (metric !== 'decode' && metric !== 'output') return undefined;
  const batch = Number(dimensions['batch'] ?? dimensions['concurrency'] ?? 1);
  return Math.min(perSecond(bodyMacs + headMacs), stepsPerSecond * batch);
}

/** Which ceiling of arithmetic belongs to which numerics. @type {Readonly<Record<string, string>>} */
const COMPUTE = { f32: 'f32', f16: 'f16', dp4a: 'int8' };

/** @param {readonly BenchRow[]} ceilings
 * @param {string} metric */
function highest(ceilings, metric) {
  const samples = ceilings.find((row) => row.metric === metric)?.samples ?? [];
  return samples.length === 0 ? undefined : Math.max(...samples);
}

/** Parts whose rows never say their share themselves: it follows anew from all samples. */
const DERIVED = new Set(['engine', 'load']);

/** Rows with their share of the ceilings, where that follows from the model and no part has said it itself.
 * @param {readonly BenchRow[]} rows
 * @param {ModelFacts | null} model
 * @returns {BenchRow[]} */
export function withRooflines(rows, model) {
  const ceilings = rows.filter(({ part }) => part === 'limits');
  return rows.map((row) => {
    const isOther = model === null || (row.dimensions['model'] ?? model.name) !== model.name;
    if (isOther || (row.roofline !== undefined && !DERIVED.has(row.part))) return row;
    const ceiling = ceilingOf(row, ceilings, model);
    return ceiling === undefined ? row : { ...row, roofline: median(row.samples) / ceiling };
  });
}

/** Why a run's rows cannot be believed, or not be checked.
 * @param {readonly BenchRow[]} rows those of {@link withRooflines} */
export function implausible(rows) {
  const above = rows.filter(({ roofline }) => isAboveCeiling(roofline)).map((row) => {
    const times = (row.roofline ?? NaN).toFixed(2);
    return `${row.part}: ${rowName(row)} is ${times} times what the adapter can do by its measured ceilings`;
  });
  const nonsense = rows.filter(({ samples }) => samples.length === 0 || samples.some((sample) => !(sample >= 0 && sample < Infinity)));
  const speeds = rows.filter(({ unit, part }) => unit === 'tok/s' && part !== 'limits');
  const isUnchecked = speeds.length > 0 && !speeds.some(({ roofline }) => roofline !== undefined);
  return [
    ...above,
    ...nonsense.map((row) => `${row.part}: ${rowName(row)} has a sample that is no measurement`),
    ...(isUnchecked ? ['no ceiling was measured, so no speed is checked against one'] : []),
  ];
}
