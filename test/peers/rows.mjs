// @ts-check
import { nameOf } from './measure.mjs';

/**
 * @typedef {import('../../demo/bench/row.ts').BenchRow} BenchRow
 * @typedef {import('./measure.mjs').Figures} Figures
 * @typedef {{ prompt: number, output: number, requests: number }} Sizes tokens of each request, and requests at once
 */

/**
 * What was measured, as rows of the benchmark.
 *
 * @param {readonly Figures[]} figures
 * @param {Sizes} sizes
 * @returns {BenchRow[]}
 */
export function rowsOf(figures, sizes) {
  return figures.flatMap((own) => rowsOfOne(own, sizes)).filter(({ samples }) => samples.length > 0);
}

/** @param {Figures} own
 * @param {Sizes} sizes
 * @returns {BenchRow[]} */
function rowsOfOne({ name, loadMs, runs, agreement, together, tabs }, { prompt, output, requests }) {
  const alone = { ...name, prompt, output };
  const several = { ...alone, requests };
  return [
    row('prefill', alone, 'tok/s', 'higher', runs.map(prefillOf)),
    row('decode', alone, 'tok/s', 'higher', runs.map(decodeOf)),
    row('TTFT', alone, 'ms', 'lower', runs.map(({ ttftMs }) => ttftMs)),
    row('load', { ...name }, 'ms', 'lower', loadMs === undefined ? [] : [loadMs]),
    row('leading tokens as expected', alone, 'tokens', 'neither', agreement),
    row('output at once in one page', several, 'tok/s', 'higher', together.map(outputOf)),
    row('output of as many tabs', several, 'tok/s', 'higher', tabs.map(outputOf)),
  ];
}

/**
 * @param {string} metric
 * @param {BenchRow['dimensions']} dimensions
 * @param {string} unit
 * @param {BenchRow['better']} better
 * @param {readonly number[]} samples
 * @returns {BenchRow}
 */
function row(metric, dimensions, unit, better, samples) {
  return { part: 'peers', metric, dimensions, unit, better, samples };
}

/** Prompt tokens a second; the first token's sampling is in it.
 * @param {import('./peer.ts').PeerTiming} timing */
function prefillOf({ promptTokens, ttftMs }) {
  return (promptTokens / ttftMs) * 1000;
}

/** Tokens a second after the first.
 * @param {import('./peer.ts').PeerTiming} timing */
function decodeOf({ outputTokens, ttftMs, lastMs }) {
  return ((outputTokens - 1) / (lastMs - ttftMs)) * 1000;
}

/** Output tokens of all requests a second, their prompts' time included.
 * @param {import('./peer.ts').TogetherTiming} timing */
function outputOf({ wallMs, answers }) {
  return (answers.reduce((sum, { outputTokens }) => sum + outputTokens, 0) / wallMs) * 1000;
}

/** What is not there and why, failures included.
 * @param {readonly Figures[]} figures */
export function omittedOf(figures) {
  return figures.flatMap(({ name, omitted, failures }) => [
    ...omitted.map(({ what, why }) => ({ what: `${nameOf(name)}: ${what}`, why })),
    ...failures.map(({ what, why }) => ({ what: `${nameOf(name)}: ${what}`, why: `failed: ${why}` })),
  ]);
}
