// @ts-check
import { omittedOf, rowsOf } from './rows.mjs';

/** Of the report's fields: one more with each change of what a field means. */
const VERSION = 1;

/** Above this much load for each core, others' work shows in the figures. */
const BUSY = 0.5;

/**
 * @typedef {object} About
 * @property {{ average: number, cores: number }} load the machine's load average over a minute, before the start
 * @property {{ name: string, isSoftware: boolean }} adapter
 * @property {string} browser
 * @property {string} model its file
 * @property {boolean} quick
 * @property {ReadonlyMap<string, string>} missing engines that were not asked at all, and why
 */

/**
 * @param {readonly import('./measure.mjs').Figures[]} figures
 * @param {import('./measure.mjs').Plan} plan
 * @param {About} about
 */
export function makeReport(figures, { task, repeats, requests }, about) {
  const { load, adapter, browser, model, quick, missing } = about;
  const sizes = { prompt: task.promptTokenIds.length, output: task.maxTokens, requests };
  return {
    version: VERSION,
    head: {
      date: new Date().toISOString(),
      model,
      prompt: { name: task.name, tokens: sizes.prompt },
      outputTokens: sizes.output,
      requests,
      repeats,
      adapter: adapter.name,
      isSoftware: adapter.isSoftware,
      browser,
      loadAverage: load.average,
      cores: load.cores,
      engines: figures.map(({ name, subject }) => ({ ...name, ...subject })),
      caveats: caveatsOf(figures, about),
    },
    rows: rowsOf(figures, sizes),
    omitted: [
      ...omittedOf(figures),
      ...[...missing].map(([what, why]) => ({ what, why })),
      ...(quick && figures.some(({ name }) => name.engine === 'onnxruntime') ? [{ what: 'onnxruntime webgpu q8', why: 'a quick run' }] : []),
    ],
  };
}

/** Why the figures say less than they seem to; none: a clean run.
 * @param {readonly import('./measure.mjs').Figures[]} figures
 * @param {About} about */
export function caveatsOf(figures, { load, adapter, quick }) {
  const found = [];
  if (load.average / load.cores > BUSY) {
    found.push(`the machine is busy: load average ${load.average.toFixed(2)} on ${load.cores} cores before the start`);
  }
  if (adapter.isSoftware) found.push('the adapter is software');
  if (quick) found.push('a quick run');
  const failed = figures.filter(({ failures }) => failures.length > 0).length;
  if (failed > 0) found.push(`${failed} of ${figures.length} engines failed at something`);
  return found;
}
