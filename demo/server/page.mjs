// @ts-check
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBench } from '../bench/build.mjs';
import { hubIndex } from './models.mjs';
import { sendFile } from './send-file.mjs';
import { buildServiceWorker } from './service-worker.mjs';

const DEMO = fileURLToPath(new URL('..', import.meta.url));
const CONFIG = { configFile: resolve(DEMO, 'vite.config.ts'), root: DEMO };

/** Where the page is built to. */
export const DIST = resolve(DEMO, 'dist');

/**
 * The page, however it is served.
 *
 * @typedef {object} Page
 * @property {(path: string, request: import('./send-file.mjs').Request, response: import('./send-file.mjs').Response) => void} handle
 * @property {() => Promise<void>} close
 */

/**
 * @typedef {object} PageOptions
 * @property {string} [outDir]
 * @property {boolean} [offline] whether it has a service worker, by which it comes without a network
 */

/**
 * Builds the page.
 *
 * @param {PageOptions} [options]
 */
export async function buildDemo({ outDir = DIST, offline = true } = {}) {
  const { build } = await import('vite');
  const define = { __TABSERVE_OFFLINE__: JSON.stringify(offline) };
  await build({ ...CONFIG, logLevel: 'warn', define, build: { outDir, emptyOutDir: true } });
  if (offline) await buildServiceWorker(outDir);
}

/**
 * Builds the whole site: the demo, the benchmark in `bench/`, and the list of models that a plain host gives out: the default
 * one, from the hub. `npm run demo` answers for its own.
 *
 * @param {PageOptions} [options]
 */
export async function buildSite(options = {}) {
  const { outDir = DIST } = options;
  await buildDemo(options);
  await buildBench(join(outDir, 'bench'));
  mkdirSync(join(outDir, 'models'));
  writeFileSync(join(outDir, 'models', 'index.json'), `${JSON.stringify(hubIndex(), undefined, 2)}\n`);
}

/** @param {string} distDir
 * @returns {Page} */
export function builtPage(distDir) {
  return {
    handle(path, request, response) {
      // What Vite puts into assets/ has its content's hash in its name; the rest must be asked for anew.
      const hashed = /^\/(bench\/)?assets\//.test(path);
      response.setHeader('Cache-Control', hashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      sendFile(request, response, distDir, path);
    },
    close: async () => {},
  };
}

/**
 * The page from its sources, reloading as they change.
 *
 * @param {import('node:http').Server} server carries the reload messages
 * @returns {Promise<Page>}
 */
export async function developmentPage(server) {
  const { createServer } = await import('vite');
  const vite = await createServer({ ...CONFIG, server: { middlewareMode: { server }, ws: { server } } });
  return {
    handle: (_path, request, response) => vite.middlewares(request, response),
    close: () => vite.close(),
  };
}
