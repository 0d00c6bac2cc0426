import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { describeCommit } from './bench/commit.mjs';
import { policyInPages } from './server/content-security-policy.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** The demo's page. A built page's worker has its content's hash in its URL; its name needs no more than the version. */
export default defineConfig(({ command }) => ({
  base: './',
  define: {
    __TABSERVE_BUILD_ID__: command === 'serve' ? 'globalThis.__TABSERVE_BUILD_ID__' : JSON.stringify(version),
    // The development server gives out the benchmark's page from its sources, too.
    ...(command === 'serve' ? { __BENCH_COMMIT__: JSON.stringify(describeCommit()) } : {}),
  },
  resolve: { alias: { tabserve: fileURLToPath(new URL('../src/index.ts', import.meta.url)) } },
  // The worker's packages too, or the first load of the development server reloads when it comes upon them.
  optimizeDeps: { entries: ['index.html', '../src/worker/engine-worker.ts'] },
  server: { fs: { allow: [root] } },
  build: { target: 'es2022', sourcemap: true, chunkSizeWarningLimit: 2000 },
  worker: { format: 'es' },
  plugins: [freshBuildId(), policyInPages()],
}));

/**
 * While developing, every change of a source gives the page another build id with its next load, and so another
 * worker: a SharedWorker is kept by (URL, name), and one left in another tab would go on running the old code.
 */
function freshBuildId(): Plugin {
  let buildId = Date.now().toString(36);
  return {
    name: 'tabserve:fresh-build-id',
    apply: 'serve',
    hotUpdate: () => {
      buildId = Date.now().toString(36);
    },
    transformIndexHtml: () => [
      { tag: 'script', children: `globalThis.__TABSERVE_BUILD_ID__ = '${buildId}';`, injectTo: 'head-prepend' },
    ],
  };
}
