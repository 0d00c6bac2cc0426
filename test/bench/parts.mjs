// @ts-check
import { LOAD_LEVELS, QUICK_LOAD_LEVELS } from '../../demo/bench/asked-sizes.mjs';

/** @typedef {import('../../demo/bench/figures.ts').BenchPart} BenchPart */

/** What can be measured, in the order in which it is: the first one wants nothing to be there yet, the last one breaks things.
 * @type {readonly BenchPart[]} */
export const PARTS = [
  'start', 'engine', 'models', 'accuracy', 'reloads', 'memory', 'limits', 'ttft', 'busy', 'load', 'stall', 'prefix', 'close',
  'profile', 'failover',
];

/** Those that need the GPU for themselves, or begin before there is an engine: no client is there yet.
 * @type {readonly BenchPart[]} */
export const WITHOUT_CLIENT = ['start', 'engine', 'models', 'accuracy', 'reloads', 'memory'];

/**
 * The parts that `--only` names, in the order in which they are measured; the adapter's ceilings are always among them, since
 * figures are checked against them.
 *
 * @param {string | undefined} only names with commas between them; undefined: all
 */
export function chooseParts(only) {
  if (only === undefined) return PARTS;
  const names = only.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !PARTS.some((part) => part === name));
  if (unknown.length > 0) throw new Error(`--only ${only}: there is no "${unknown.join('", "')}", only ${PARTS.join(', ')}.`);
  return PARTS.filter((part) => part === 'limits' || names.includes(part));
}

/**
 * What a run does not measure, in words.
 *
 * @param {readonly BenchPart[]} parts those that it does
 * @param {boolean} quick
 */
export function leftOut(parts, quick) {
  const found = [];
  const missing = PARTS.filter((part) => !parts.includes(part));
  if (missing.length > 0) found.push(`${missing.join(', ')} (--only)`);
  if (!quick) return found;
  const levels = LOAD_LEVELS.filter((level) => !QUICK_LOAD_LEVELS.includes(level));
  if (parts.includes('load')) found.push(`load of ${levels.join(', ')} at once (--quick)`);
  found.push('most repeats (--quick)');
  return found;
}
