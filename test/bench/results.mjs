// @ts-check
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { dawnResults } from './dawn/results.mjs';

/** @typedef {import('./report.mjs').Results} Results */

const schema = JSON.parse(readFileSync(new URL('../../demo/bench/results.schema.json', import.meta.url), 'utf8'));
const validate = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile(schema);

/**
 * @param {unknown} value
 * @param {string} name of what it is, for the error
 * @returns {Results}
 * @throws Error that says where the value is not as results.schema.json has it
 */
export function requireResults(value, name) {
  if (validate(value)) return /** @type {Results} */ (value);
  const errors = (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || '/'} ${message}`);
  throw new Error(`${name} is no results of the bench: ${errors.slice(0, 5).join('; ')}.`);
}

/** Results of a run, in Chromium or (JSON Lines) on Dawn.
 * @param {string} file
 * @throws Error for a file that is not there, or anything else */
export function readResults(file) {
  const text = readFileSync(file, 'utf8');
  return requireResults(text.startsWith('{"kind":') ? dawnResults(parseLines(text)) : JSON.parse(text), file);
}

/** The lines of a run that was cut short may end in the middle of one.
 * @param {string} text
 * @returns {import('./dawn/report.ts').Line[]} */
function parseLines(text) {
  return text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
}

/** What was in the file stays until all of the new is there.
 * @param {string} file
 * @param {Results} results */
export function writeResults(file, results) {
  writeFileSync(`${file}.part`, `${JSON.stringify(requireResults(results, file), null, 2)}\n`);
  renameSync(`${file}.part`, file);
}
