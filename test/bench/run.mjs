// @ts-check
/**
 * `npm run bench`: how fast the default model runs here, in Chromium. What each figure means: README.md beside this file.
 *
 *     npm run bench                         everything, the medians of several runs
 *     npm run bench -- --quick              less of it, once: two minutes where there is no GPU
 *     npm run bench -- --only load,prefix   parts of it: engine, models, ttft, load, stall, prefix, close,
 *                                           profile, failover
 *     npm run bench -- --rate R             load: R arrivals a second for each request that may run at once, instead of
 *                                           as many as one that is alone could answer
 *     npm run bench -- --shapes 135m,1b     models: which models of random weights (135m, 0.6b, 1b, 8b), instead of
 *                                           what suits the adapter
 *     npm run bench -- --json FILE          the figures, for a machine to read
 *     npm run bench -- --adapter NAME       `hardware`, `swiftshader` or another that Chromium's
 *                                           --use-webgpu-adapter knows; by default hardware where there is some
 *     npm run bench -- --headed             in a window
 *     npm run bench -- --model FILE.gguf    another model
 *
 *     npm run bench -- --dawn=ADAPTER       kernels and models in Node, on Dawn, instead: `native` (the system's GPU),
 *                                           `lavapipe` or `swiftshader`; ten minutes at most on a GPU. With
 *         --quick                           less of it
 *         --only limits,matmul              parts: limits, matmul, attention, decode, prefill, batch, synthetic
 *         --shapes 135m,1b,8b               which models of random weights; by default what suits the adapter
 *         --patience 2                      twice the time for each part
 *         --json FILE                       each row at once, one JSON object a line
 *         --model FILE.gguf
 *
 * Figures of a run that is not clean (the last line says so) are no measure of tabserve.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright';
import { fetchModel } from '../../demo/server/fetch-model.mjs';
import { createProgressBar } from '../../demo/server/progress-bar.mjs';
import { importTypeScript } from '../oracle/typescript.mjs';
import { findOrInstallChromium } from '../support/install-chromium.mjs';
import { formatReport } from './format.mjs';
import { chooseParts, WITHOUT_CLIENT } from './parts.mjs';
import { makeReport } from './report.mjs';
import { startBenchServer } from './server.mjs';

const args = process.argv.slice(2);
if (args.includes('--help')) {
  console.log(helpText());
  process.exit();
}
const dawn = args.find((arg) => arg.startsWith('--dawn'));
if (dawn !== undefined) {
  const { runDawnBench } = await import('./dawn/start.mjs');
  const rest = args.filter((arg) => arg !== dawn);
  process.exit(await runDawnBench(dawn.split('=')[1] ?? 'native', rest));
}
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rate: { type: 'string' },
    shapes: { type: 'string' },
    json: { type: 'string' },
    adapter: { type: 'string' },
    headed: { type: 'boolean', default: false },
    model: { type: 'string' },
  },
});
const parts = chooseParts(values.only);
const rate = values.rate === undefined ? {} : { rate: Number(values.rate) };
if (rate.rate !== undefined && !(rate.rate > 0)) throw new Error(`--rate ${values.rate}: it is a number above 0.`);
const shapes = values.shapes === undefined ? {} : { shapes: values.shapes.split(',').map((name) => name.trim()) };
const options = values.quick
  ? { quick: true, promptTokens: 128, decodeTokens: 32, repeats: 1, ...rate, ...shapes }
  : { quick: false, promptTokens: 128, decodeTokens: 128, repeats: 3, ...rate, ...shapes };

const root = fileURLToPath(new URL('../..', import.meta.url));
const { report, failures } = await main();
console.log(`\n${formatReport(report)}`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
if (failures.length > 0) process.exitCode = 1;

/** The comment that this file begins with. */
function helpText() {
  const [, comment = ''] = readFileSync(fileURLToPath(import.meta.url), 'utf8').split(/\/\*\*\n|\n \*\//);
  return comment.replace(/^ \* ?/gm, '');
}

async function main() {
  const load = { average: loadavg()[0] ?? 0, cores: availableParallelism() };
  const model = await findModel();
  const server = await startBenchServer(model.path);
  const browser = await launch();
  try {
    const page = await browser.newPage();
    page.on('console', (message) => message.type() === 'debug' || console.error(message.text()));
    page.on('pageerror', (error) => console.error(error.message));
    await page.goto(server.pageUrl);
    await page.waitForFunction('globalThis.bench !== undefined');
    const { figures, failures } = await measureParts(page, server);
    const file = { file: basename(model.path), isStandIn: model.isStandIn };
    return { failures, report: makeReport(figures, options, load, file, { parts, failures }) };
  } finally {
    await browser.close();
    await server.close();
  }
}

/** Each part on its own: one that fails leaves the others' figures.
 * @param {import('playwright').Page} page
 * @param {Awaited<ReturnType<typeof startBenchServer>>} server */
async function measureParts(page, server) {
  const asked = JSON.stringify({ ...options, modelUrl: server.modelUrl });
  /** @type {Partial<import('./figures.ts').PartFigures>} */
  const measured = {};
  /** @type {string[]} */
  const failures = [];
  for (const part of parts) {
    try {
      if (!WITHOUT_CLIENT.includes(part)) await page.evaluate(`bench.subject(${asked})`); // the first one loads the model
      const bytesBefore = server.modelBytesSent();
      const figures = await page.evaluate(`bench.measure(${JSON.stringify(part)}, ${asked})`);
      const bytesFetched = server.modelBytesSent() - bytesBefore;
      Object.assign(measured, { [part]: part === 'failover' ? { samples: figures, bytesFetched } : figures });
    } catch (error) {
      failures.push(`${part} failed: ${error instanceof Error ? error.message : String(error)}`);
      console.error(failures.at(-1));
    }
  }
  /** @type {import('./figures.ts').BenchSubject} */
  const subject = measured.engine ?? (await page.evaluate(`bench.subject(${asked})`));
  return { figures: { ...measured, subject }, failures };
}

/** The model asked for, else the demo's, else the demo's stand-in. */
async function findModel() {
  if (values.model !== undefined) return { path: resolve(values.model), isStandIn: false };
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

/** A browser with the adapter asked for; by default with a hardware adapter if it has one, else with SwiftShader. */
async function launch() {
  const executablePath = findOrInstallChromium();
  if (executablePath === undefined) throw new Error('There is no Chrome or Chromium, and none could be installed.');
  /** @type {{ CHROMIUM_ARGS: readonly string[] }} */
  const { CHROMIUM_ARGS } = await importTypeScript('test/support/chromium.ts');
  const others = CHROMIUM_ARGS.filter((arg) => !arg.startsWith('--use-webgpu-adapter'));
  const open = (/** @type {string} */ adapter) => {
    const own =
      adapter === 'hardware'
        ? ['--ignore-gpu-blocklist', ...(process.platform === 'linux' ? ['--enable-features=Vulkan'] : [])]
        : [`--use-webgpu-adapter=${adapter}`];
    return chromium.launch({ executablePath, headless: !values.headed, args: [...others, ...own] });
  };
  if (values.adapter !== undefined) return open(values.adapter);
  const browser = await open('hardware');
  if (await hasHardware(browser)) return browser;
  await browser.close();
  return open('swiftshader');
}

/** @param {import('playwright').Browser} browser */
async function hasHardware(browser) {
  const page = await browser.newPage();
  // A page that WebGPU trusts, without a server.
  await page.route('**', (route) => route.fulfill({ body: '<!doctype html>', contentType: 'text/html' }));
  await page.goto('http://localhost/');
  const found = await page.evaluate(async () => {
    const adapter = await navigator.gpu?.requestAdapter();
    return adapter !== null && adapter !== undefined && !adapter.info.isFallbackAdapter && adapter.info.architecture;
  });
  await page.close();
  return typeof found === 'string' && found !== 'swiftshader' && found !== 'llvmpipe';
}
