// @ts-check
import { existsSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchModel } from '../../demo/server/fetch-model.mjs';
import { createProgressBar } from '../../demo/server/progress-bar.mjs';
import { importTypeScript } from '../oracle/typescript.mjs';
import { launchBrowser } from './browser.mjs';
import { describeCommit } from '../../demo/bench/commit.mjs';
import { machineFacts } from './machine.mjs';
import { measureAll, nothingMeasured, ResumeError } from './measure.mjs';
import { leftOut, PARTS } from './parts.mjs';
import { makeResults } from './report.mjs';
import { readResults, writeResults } from './results.mjs';
import { startBenchServer } from './server.mjs';

/**
 * @typedef {import('./report.mjs').Head} Head
 * @typedef {import('./report.mjs').Results} Results
 * @typedef {import('./options.mjs').Options} Options
 * @typedef {Omit<Head, 'adapter' | 'model'>} Start what is known before anything is measured
 */

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Measures what the options ask for, in Chromium; what there is goes to the options' JSON file after each part.
 *
 * @param {Options} options
 * @param {string} command as it was typed
 * @param {AbortSignal} signal ends it early; the results say so
 * @returns {Promise<Results>}
 * @throws Error where nothing could be measured, or a run to be gone on with was another's
 */
export async function runBench(options, command, signal) {
  const machine = machineFacts();
  const before = options.resume !== undefined && existsSync(options.resume) ? readResults(options.resume) : undefined;
  const model = await findModel(options);
  const server = await startBenchServer(model.path);
  try {
    const browser = await launchBrowser(options);
    const stop = () => void browser.close();
    signal.addEventListener('abort', stop);
    try {
      /** @type {Start} */
      const start = {
        suite: 'chromium',
        version: JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8')).version,
        commit: describeCommit(),
        date: new Date().toISOString(),
        command,
        runtime: `Chromium ${browser.version()}`,
        ...machine,
        options: options.sizes,
      };
      if (before !== undefined) requireSame(FIRST_FACTS, start, before.head);
      return await measureFrom(start, before, model, { browser, server, options, signal });
    } finally {
      signal.removeEventListener('abort', stop);
      await browser.close();
    }
  } finally {
    await server.close();
  }
}

/** Measures all that is missing, and keeps the options' file up to date.
 * @param {Start} start
 * @param {Results | undefined} before
 * @param {{ path: string, isStandIn: boolean }} model
 * @param {Pick<import('./measure.mjs').Run, 'browser' | 'server' | 'options' | 'signal'>} run
 * @returns {Promise<Results>} */
async function measureFrom(start, before, model, run) {
  const { options, signal } = run;
  const state = before === undefined ? nothingMeasured() : stateOf(before);
  let head = before?.head;
  const results = () => {
    if (head === undefined) throw new Error(['Nothing was measured', ...state.failures].join('; '));
    const missing = options.parts.filter((part) => (state.parts[part]?.repetitions ?? 0) < options.repeat);
    const interrupted = signal.aborted && missing.length > 0 ? [`the run was interrupted before the end of ${missing.join(', ')}`] : [];
    const parts = PARTS.filter((part) => options.parts.includes(part) || part in state.parts);
    const left = [...new Set([...leftOut(parts, options.quick), ...state.leftOut])];
    return makeResults(head, { ...state, failures: [...state.failures, ...interrupted], leftOut: left });
  };
  const onSubject = async (/** @type {import('../../demo/bench/figures.ts').BenchSubject} */ { adapter }) => {
    const now = { ...start, adapter, model: await modelFacts(model, adapter.isSoftware) };
    head = before === undefined ? now : resumedHead(now, before.head);
  };
  const onPart = () => head !== undefined && options.json !== undefined && writeResults(options.json, results());
  await measureAll({ ...run, log: console.error, onSubject, onPart }, state);
  return results();
}

/** What a run had measured.
 * @param {Results} results
 * @returns {import('./measure.mjs').State} */
function stateOf({ parts, rows, details, leftOut: left }) {
  const copied = Object.fromEntries(Object.entries(details).map(([part, each]) => [part, [...each]]));
  // What the options leave out is said anew: a part that was left out then may be measured now.
  return { parts: { ...parts }, rows: [...rows], details: copied, failures: [], leftOut: left.filter((line) => !/\(--\w+\)$/.test(line)) };
}

/**
 * The head of a run that goes on with another's: the first one's date, the busier one's load, and both commands.
 *
 * @param {Head} now
 * @param {Head} before
 * @throws ResumeError where figures of the two do not belong together
 */
export function resumedHead(now, before) {
  requireSame(['adapter', 'model'], now, before);
  const command = [...new Set([...before.command.split('; '), now.command])].join('; ');
  return { ...now, command, date: before.date, loadAverage: Math.max(now.loadAverage ?? 0, before.loadAverage ?? 0) };
}

/** What is known of a run before it measures anything, and has to be the other's too. */
export const FIRST_FACTS = /** @type {const} */ (['suite', 'commit', 'runtime', 'cpu', 'options']);

/**
 * @param {readonly (keyof Head)[]} facts
 * @param {Partial<Head>} now
 * @param {Head} before
 * @throws ResumeError where figures of the two do not belong together
 */
export function requireSame(facts, now, before) {
  const other = facts.find((fact) => !isDeepStrictEqual(toJson(now[fact]), toJson(before[fact])));
  if (other !== undefined) throw new ResumeError(`--resume: that run had another ${other}: ${JSON.stringify(before[other])}.`);
  if (now.commit === 'unknown') throw new ResumeError('--resume: without git nobody knows whether files are as they were then.');
}

/** As it is after it was in a file. @param {unknown} value */
function toJson(value) {
  return JSON.parse(JSON.stringify(value));
}

/** @param {{ path: string, isStandIn: boolean }} model
 * @param {boolean} isSoftware
 * @returns {Promise<import('./report.mjs').ModelFacts>} */
async function modelFacts({ path, isStandIn }, isSoftware) {
  const { readModelFacts } = await importTypeScript('test/bench/model-facts.ts');
  return { ...(await readModelFacts(path, isSoftware)), isStandIn };
}

/** The model asked for, else the demo's, else the demo's stand-in.
 * @param {Pick<Options, 'model'>} options */
async function findModel({ model }) {
  if (model !== undefined) return { path: resolve(model), isStandIn: false };
  const bar = createProgressBar(process.stderr);
  const fetched = await fetchModel({
    dir: process.env['TABSERVE_MODELS_DIR'] ?? resolve(root, '.models'),
    log: (line) => console.error(line),
    onProgress: (progress) => bar.update(progress),
  });
  bar.end();
  if (fetched.available) return { path: fetched.path, isStandIn: false };
  console.error(`${fetched.reason}.\nMeasuring a tiny model instead: its figures say nothing about a real one.`);
  return { path: resolve(root, 'demo/public/babble.gguf'), isStandIn: true };
}
