// @ts-check
/**
 * `npm run bench:peers`: tabserve and other engines in one run, on the same adapter and cores, with the same prompt, in
 * turn. What each is set to, and what would make a figure wrong: README.md beside this file.
 *
 *     npm run bench:peers                    all engines; the medians of three rounds
 *     npm run bench:peers -- --quick         one round of a short prompt and answer
 *     npm run bench:peers -- --only A,B      engines, of tabserve, wllama, llama.cpp, onnxruntime, webllm,
 *                                            language-model
 *     npm run bench:peers -- --repeat N      rounds
 *     npm run bench:peers -- --prompt NAME   one of the chats of test/goldens/smollm2-135m-instruct.json
 *     npm run bench:peers -- --threads N     of engines that compute on the CPU
 *     npm run bench:peers -- --adapter NAME  as of `npm run bench`
 *     npm run bench:peers -- --headed        in a window
 *     npm run bench:peers -- --json FILE     the figures, for a machine to read
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fetchModel } from '../../demo/server/fetch-model.mjs';
import { launchBrowser } from '../bench/browser.mjs';
import { describeCommit } from '../../demo/bench/commit.mjs';
import { machineFacts } from '../bench/machine.mjs';
import { describeAdapter } from './adapter.mjs';
import { installOnDemand } from '../support/install-on-demand.mjs';
import { whyNoLanguageModel } from './language-model.mjs';
import { measureAll } from './measure.mjs';
import { ENGINES, makeFiles, makePeers } from './peers.mjs';
import { makeReport } from './report.mjs';
import { startPeerServer } from './server.mjs';
import { formatTable } from './table.mjs';
import { readTask } from './task.mjs';
import { makeQ8Twin } from './twin.mjs';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    repeat: { type: 'string' },
    prompt: { type: 'string' },
    threads: { type: 'string' },
    adapter: { type: 'string' },
    headed: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** At once, in one page and in as many tabs. */
const REQUESTS = 4;

/** For each thing that is asked of an engine; one that is slower is left out. */
const LIMIT_MS = values.quick ? 240_000 : 600_000;

const root = fileURLToPath(new URL('../..', import.meta.url));
if (values.help) console.log(helpText());
else await main();

async function main() {
  const engines = chooseEngines(values.only);
  const repeats = positive('repeat', values.repeat, values.quick ? 1 : 3);
  const machine = machineFacts();
  const commit = describeCommit();
  const command = ['npm run bench:peers', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ');
  const { cores } = machine;
  // llama.cpp's advice is a thread a core, not one for each of a core's two threads; few cores are a virtual machine's.
  const threads = positive('threads', values.threads, cores <= 4 ? cores : Math.floor(cores / 2));
  const model = await findModel();
  const chat = values.prompt ?? (values.quick ? 'story' : 'multi-turn');
  const { task, expected, warmUp } = await readTask(model, chat, values.quick ? 16 : 64);
  const twin = await makeQ8Twin(model, dirname(model));
  const missing = installAll(engines);
  const present = engines.filter((engine) => !missing.has(engine));
  await makeFiles(model, present, values.quick);
  const { version } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));
  const server = await startPeerServer(dirname(model), version);
  const browser = await launchBrowser(values);
  // Ctrl-C is left to us: Playwright ends its browser, and Node its children, when this process does.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  try {
    const adapter = await describeAdapter(browser, server.plain);
    const maxTokensEach = task.promptTokenIds.length + task.maxTokens;
    const setup = { browser, server, model, twin, threads, maxRequests: REQUESTS, maxTokensEach, warmUp, quick: values.quick };
    const entries = makePeers(setup, present);
    if (engines.includes('language-model')) {
      missing.set('language-model', await whyNoLanguageModel(browser, server.plain));
    }
    const start = performance.now();
    const log = (/** @type {string} */ line) => console.error(`${((performance.now() - start) / 1000).toFixed(0)} s  ${line}`);
    const plan = { task, expected, repeats, requests: REQUESTS, limitMs: LIMIT_MS, log };
    const figures = await measureAll(entries, plan);
    await Promise.all(entries.map(({ peer }) => peer.close()));
    const about = { commit, command, machine, adapter, browser: `Chromium ${browser.version()}`, model: basename(model), quick: values.quick };
    const report = makeReport(figures, plan, { ...about, missing });
    console.log(`\n${formatTable(report)}`);
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
    if (figures.some(({ failures }) => failures.length > 0)) process.exitCode = 1;
  } finally {
    await browser.close();
    await server.close();
  }
}

/** The engines whose packages could not be had, and why.
 * @param {readonly string[]} engines */
function installAll(engines) {
  /** @type {Map<string, string>} */
  const missing = new Map();
  for (const engine of engines) {
    if (engine === 'tabserve' || engine === 'language-model') continue;
    const why =
      engine === 'llama.cpp' ? installOnDemand('oracle', ['install']) : installOnDemand('peers', ['ci', '--ignore-scripts']);
    if (why !== undefined) missing.set(engine, why);
  }
  return missing;
}

async function findModel() {
  const dir = process.env['TABSERVE_MODELS_DIR'] ?? resolve(root, '.models');
  const fetched = await fetchModel({ dir, log: (line) => console.error(line), onProgress: () => {} });
  if (!fetched.available) throw new Error(`${fetched.reason}. The engines are compared on the default model only.`);
  return fetched.path;
}

/** @param {string | undefined} only */
function chooseEngines(only) {
  if (only === undefined) return ENGINES;
  const names = only.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !ENGINES.includes(name));
  if (unknown.length > 0) throw new Error(`--only ${only}: there is no "${unknown.join('", "')}", only ${ENGINES.join(', ')}.`);
  return ENGINES.filter((engine) => names.includes(engine));
}

/** @param {string} name
 * @param {string | undefined} value
 * @param {number} otherwise */
function positive(name, value, otherwise) {
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} ${value}: it is a whole number above 0.`);
  return number;
}

/** The comment that this file begins with. */
function helpText() {
  const [, comment = ''] = readFileSync(fileURLToPath(import.meta.url), 'utf8').split(/\/\*\*\n|\n \*\//);
  return comment.replace(/^ \* ?/gm, '');
}
