// @ts-check
/**
 * `npm run demo`: fetches the default model once, builds the page and serves both.
 *
 *     npm run demo                      http://localhost:5173
 *     npm run demo -- --port 8080       another port
 *     npm run demo -- --models FOLDER   where models lie, instead of .models (also TABSERVE_MODELS_DIR)
 *     npm run demo -- --host 0.0.0.0    other machines too; their browsers offer WebGPU only over https
 *     npm run dev                       from the sources, reloading as they change
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fetchModel } from './server/fetch-model.mjs';
import { buildSite } from './server/page.mjs';
import { createProgressBar } from './server/progress-bar.mjs';
import { startDemoServer } from './server/server.mjs';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '5173' },
    host: { type: 'string' },
    models: { type: 'string' },
    dev: { type: 'boolean', default: false },
  },
});
const modelsDir =
  values.models ?? process.env['TABSERVE_MODELS_DIR'] ?? fileURLToPath(new URL('../.models', import.meta.url));
const interrupt = new AbortController();
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(signal, () => interrupt.abort());

try {
  await main();
} catch (error) {
  process.exitCode = interrupt.signal.aborted ? 130 : 1;
  if (interrupt.signal.aborted) console.error('\nStopped.');
  else console.error(explain(error));
}

async function main() {
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`--port ${values.port}: a port is a number up to 65535.`);
  const model = await fetchDefault();
  if (!model.available) console.error('The demo starts without it: the page asks for a model of yours.');
  if (!values.dev) {
    console.log('Building the page');
    await buildSite({ offline: false });
  }
  interrupt.signal.throwIfAborted();
  const host = values.host === undefined ? {} : { host: values.host };
  const server = await startDemoServer({ port, ...host, modelsDir, model, dev: values.dev });
  console.log(`\ntabserve demo: ${server.url}\nCtrl-C ends it.`);
  await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve, { once: true }));
  await server.close();
}

async function fetchDefault() {
  const bar = createProgressBar(process.stderr);
  const log = (/** @type {string} */ line) => {
    bar.end();
    console.error(line);
  };
  try {
    return await fetchModel({
      dir: modelsDir,
      signal: interrupt.signal,
      log,
      onProgress: (progress) => bar.update(progress),
    });
  } finally {
    bar.end();
  }
}

/** @param {unknown} error */
function explain(error) {
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
    return `Port ${values.port} is taken, perhaps by another demo. Choose another: npm run demo -- --port ${Number(values.port) + 1}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
