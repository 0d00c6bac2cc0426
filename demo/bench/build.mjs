// @ts-check
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { policyInPages } from '../server/content-security-policy.mjs';
import { describeCommit } from './commit.mjs';

/**
 * Builds the benchmark's pages: `index.html` for visitors, and `suite.html`, which measures in its frame.
 *
 * @param {string} outDir
 */
export async function buildBench(outDir) {
  const define = { __BENCH_COMMIT__: JSON.stringify(describeCommit()) };
  await buildPages(fileURLToPath(new URL('.', import.meta.url)), ['index.html', 'suite.html'], outDir, define, [policyInPages()]);
}

/**
 * Builds pages as an app would, so that a worker starts as fast as it does there. Its worker is never the demo's.
 *
 * @param {string} root the pages' folder
 * @param {readonly string[]} pages
 * @param {string} outDir
 * @param {Readonly<Record<string, string>>} [define]
 * @param {import('vite').Plugin[]} [plugins]
 */
export async function buildPages(root, pages, outDir, define = {}, plugins = []) {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    base: './',
    define: { __TABSERVE_BUILD_ID__: JSON.stringify(`${version}-bench`), ...define },
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
