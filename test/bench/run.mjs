// @ts-check
/**
 * `npm run bench`: how fast the default model runs here, in Chromium.
 *
 *     npm run bench                         each figure three times, 128 tokens decoded
 *     npm run bench -- --quick              once, 32 tokens: two minutes where there is no GPU
 *     npm run bench -- --json FILE          the figures, for a machine to read
 *     npm run bench -- --adapter NAME       `hardware`, `swiftshader` or another that Chromium's
 *                                           --use-webgpu-adapter knows; by default hardware where there is some
 *     npm run bench -- --headed             in a window
 *     npm run bench -- --model FILE.gguf    another model
 *
 * Figures of a run that is not clean (the last line says so) are no measure of tabserve.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright';
import { fetchModel } from '../../demo/server/fetch-model.mjs';
import { createProgressBar } from '../../demo/server/progress-bar.mjs';
import { importTypeScript } from '../oracle/typescript.mjs';
import { findOrInstallChromium } from '../support/install-chromium.mjs';
import { formatReport, makeReport } from './report.mjs';
import { startBenchServer } from './server.mjs';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    adapter: { type: 'string' },
    headed: { type: 'boolean', default: false },
    model: { type: 'string' },
  },
});
const options = values.quick
  ? { promptTokens: 128, decodeTokens: 32, repeats: 1 }
  : { promptTokens: 128, decodeTokens: 128, repeats: 3 };

const root = fileURLToPath(new URL('../..', import.meta.url));
const report = await main();
console.log(`\n${formatReport(report)}`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);

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
    await page.waitForFunction('globalThis.runBench !== undefined');
    /** @type {import('./figures.ts').BenchFigures} */
    const figures = await page.evaluate(`runBench(${JSON.stringify({ ...options, modelUrl: server.modelUrl })})`);
    return makeReport(figures, options, load, { file: basename(model.path), isStandIn: model.isStandIn });
  } finally {
    await browser.close();
    await server.close();
  }
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
