// @ts-check
import { parseArgs } from 'node:util';
import { askedSizes } from '../../demo/bench/asked-sizes.mjs';
import { chooseParts } from './parts.mjs';

/** @typedef {ReturnType<typeof readOptions>} Options */

/**
 * @param {readonly string[]} args
 * @throws Error for an argument that there is not, or a value that makes no sense
 */
export function readOptions(args) {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      repeat: { type: 'string', default: '1' },
      rate: { type: 'string' },
      shapes: { type: 'string' },
      json: { type: 'string' },
      resume: { type: 'string' },
      adapter: { type: 'string' },
      channel: { type: 'string' },
      headed: { type: 'boolean', default: false },
      model: { type: 'string' },
      compare: { type: 'boolean', default: false },
      threshold: { type: 'string', default: '5' },
      anyway: { type: 'boolean', default: false },
      plot: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  const wanted = values.compare ? 2 : values.plot ? 1 : 0;
  if (positionals.length !== wanted) {
    throw new Error(`${values.compare ? '--compare' : values.plot ? '--plot' : 'A run'} takes ${wanted} files, not ${positionals.length}.`);
  }
  if (values.plot && values.out === undefined) throw new Error('--plot needs --out DIR, the folder for the pictures.');
  const repeat = above(0, '--repeat', values.repeat);
  if (!Number.isInteger(repeat)) throw new Error(`--repeat ${values.repeat}: it is a whole number.`);
  return {
    ...values,
    files: positionals,
    parts: chooseParts(values.only),
    repeat,
    threshold: above(0, '--threshold', values.threshold) / 100,
    json: values.json ?? values.resume,
    sizes: sizesOf(values),
  };
}

/** How much is measured: the same in two runs that compare.
 * @param {{ quick: boolean, rate?: string | undefined, shapes?: string | undefined }} values */
function sizesOf({ quick, rate, shapes }) {
  const given = {
    ...(rate !== undefined && { rate: above(0, '--rate', rate) }),
    ...(shapes !== undefined && { shapes: shapes.split(',').map((name) => name.trim()) }),
  };
  return { ...askedSizes(quick), ...given };
}

/** @param {number} least
 * @param {string} option
 * @param {string} text */
function above(least, option, text) {
  const value = Number(text);
  if (!(value > least)) throw new Error(`${option} ${text}: it is a number above ${least}.`);
  return value;
}
