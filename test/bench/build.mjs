// @ts-check
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { policyInPages } from '../../demo/server/content-security-policy.mjs';
import { describeCommit } from './commit.mjs';

/**
 * Builds the bench's pages as an app would, so that a worker starts as fast as it does there: `index.html` for visitors,
 * `suite.html` for whoever drives the suite, and the frames that it needs.
 *
 * @param {string} outDir
 */
export async function buildBench(outDir) {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const pages = ['index.html', 'suite.html', 'frame.html', 'start-frame.html'];
  // A build of its own, so that its worker is never the demo's.
  const define = { __TABSERVE_BUILD_ID__: JSON.stringify(`${version}-bench`), __BENCH_COMMIT__: JSON.stringify(describeCommit()) };
  await buildPages(fileURLToPath(new URL('.', import.meta.url)), pages, outDir, define, [policyInPages()]);
}

/**
 * @param {string} root the pages' folder
 * @param {readonly string[]} pages
 * @param {string} outDir
 * @param {Readonly<Record<string, string>>} define
 * @param {import('vite').Plugin[]} [plugins]
 */
export async function buildPages(root, pages, outDir, define, plugins = []) {
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    base: './',
    define,
    plugins,
    worker: { format: 'es' },
    build: {
      target: 'es2022',
      outDir,
      emptyOutDir: false,
      chunkSizeWarningLimit: 2000,
      rolldownOptions: { input: pages.map((page) => join(root, page)) },
    },
  });
}
