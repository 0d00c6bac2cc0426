// @ts-check
import { busyCaveat } from '../bench/machine.mjs';
import { omittedOf, rowsOf } from './rows.mjs';

/** Of the report's fields: one more with each change of what a field means. */
const VERSION = 1;

/**
 * @typedef {object} About
 * @property {string} commit that is measured
 * @property {string} command
 * @property {ReturnType<typeof import('../bench/machine.mjs').machineFacts>} machine before the start
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
  const { commit, command, machine, adapter, browser, model, quick, missing } = about;
  const sizes = { prompt: task.promptTokenIds.length, output: task.maxTokens, requests };
  return {
    version: VERSION,
    head: {
      date: new Date().toISOString(),
      commit,
      command,
      model,
      prompt: { name: task.name, tokens: sizes.prompt },
      outputTokens: sizes.output,
      requests,
      repeats,
      adapter: adapter.name,
      isSoftware: adapter.isSoftware,
      browser,
      ...machine,
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
export function caveatsOf(figures, { machine, adapter, quick }) {
  const busy = busyCaveat(machine);
  const found = busy === undefined ? [] : [busy];
  if (adapter.isSoftware) found.push('the adapter is software');
  if (quick) found.push('a quick run');
  const failed = figures.filter(({ failures }) => failures.length > 0).length;
  if (failed > 0) found.push(`${failed} of ${figures.length} engines failed at something`);
  return found;
}
