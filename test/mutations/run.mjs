// @ts-check
/**
 * `npm run test:mutations`: whether the tests can fail. Each row of the table (mutations.mjs) is one small change of the
 * sources; applied alone, in a copy of the tree, it has to turn the tests that it names red. Those tests are green without
 * it, which is checked first.
 *
 *     npm run test:mutations                        all; writes test/mutations/results.md
 *     npm run test:mutations -- --only kernels      one area, or one row by its name; writes nothing
 *     npm run test:mutations -- --stryker FILE...   every small change of these files of src's pure parts, by Stryker
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findOrInstallChromium } from '../support/install-chromium.mjs';
import { MUTATIONS } from './mutations.mjs';
import { runStryker } from './stryker.mjs';
import { mutate, resultsTable } from './table.mjs';

/** @typedef {import('./table.mjs').Mutation} Mutation */
/** @typedef {import('./table.mjs').Outcome} Outcome */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const COPIED = ['src', 'shaders', 'demo', 'test', 'package.json', 'tsconfig.json', 'vite.config.ts', 'README.md', 'CHANGELOG.md', 'docs'];
/** For one test file: a mutation that makes it wait for ever has been noticed. */
const TIMEOUT_MS = 180_000;

process.exitCode = main(process.argv.slice(2));

/** @param {string[]} args */
function main(args) {
  if (args[0] === '--stryker') return runStryker(args.slice(1));
  const only = args[args.indexOf('--only') + 1];
  const chosen = args.includes('--only') ? MUTATIONS.filter(({ area, name }) => only === area || only === name) : MUTATIONS;
  if (chosen.length === 0) throw new Error(`No area and no mutation is named ${only}.`);
  const chromium = findOrInstallChromium();
  if (chromium !== undefined) process.env['CHROME_PATH'] = chromium;
  const copy = copyTree();
  try {
    const tests = [...new Set(chosen.flatMap((mutation) => mutation.tests))];
    if (runTests(copy, tests) !== 'green') {
      console.error(`Red without any mutation, or not to be run: one of ${tests.join(', ')}`);
      return 1;
    }
    const outcomes = chosen.map((mutation) => tryOut(copy, mutation));
    if (chosen === MUTATIONS) writeFileSync(join(ROOT, 'test', 'mutations', 'results.md'), resultsTable(outcomes));
    const survivors = outcomes.filter(({ isKilled, mutation }) => !isKilled && mutation.survives === undefined);
    console.log(`${outcomes.filter(({ isKilled }) => isKilled).length} of ${outcomes.length} turned a test red.`);
    return survivors.length === 0 ? 0 : 1;
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** @returns {string} where it is */
function copyTree() {
  const copy = mkdtempSync(join(tmpdir(), 'tabserve-mutations-'));
  const isInstalled = (/** @type {string} */ path) => /[\\/](node_modules|dist|\.results)([\\/]|$)/.test(path.slice(ROOT.length));
  for (const each of COPIED) cpSync(join(ROOT, each), join(copy, each), { recursive: true, filter: (path) => !isInstalled(path) });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'), 'junction');
  return copy;
}

/** @param {string} copy
 * @param {Mutation} mutation
 * @returns {Outcome} */
function tryOut(copy, mutation) {
  const file = join(copy, mutation.file);
  const original = readFileSync(file, 'utf8');
  writeFileSync(file, mutate(original, mutation));
  // The narrowest test first; the others only if it does not see it.
  const killer = mutation.tests.find((test) => runTests(copy, [test]) === 'red');
  writeFileSync(file, original);
  console.log(`${killer === undefined ? 'SURVIVED' : 'red     '} ${mutation.area}: ${mutation.name}`);
  return { mutation, isKilled: killer !== undefined, killer };
}

/** @param {string} copy
 * @param {string[]} files
 * @returns {'green' | 'red'} */
function runTests(copy, files) {
  const vitest = join(copy, 'node_modules', 'vitest', 'vitest.mjs');
  const options = ['run', '--bail=1', '--reporter=dot', ...files];
  const { status } = spawnSync(process.execPath, [vitest, ...options], { cwd: copy, stdio: 'ignore', timeout: TIMEOUT_MS * files.length });
  return status === 0 ? 'green' : 'red';
}
