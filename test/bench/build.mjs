// @ts-check
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('.', import.meta.url));

/**
 * Builds the bench's pages as an app would, so that a worker starts as fast as it does there: `index.html` for visitors,
 * `suite.html` for whoever drives the suite, and the frames that it needs.
 *
 * @param {string} outDir
 */
export async function buildBench(outDir) {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    base: './',
    // A build of its own, so that its worker is never the demo's.
    define: { __TABSERVE_BUILD_ID__: JSON.stringify(`${version}-bench`), __BENCH_COMMIT__: JSON.stringify(commit()) },
    worker: { format: 'es' },
    build: {
      target: 'es2022',
      outDir,
      emptyOutDir: false,
      chunkSizeWarningLimit: 2000,
      rolldownOptions: { input: ['index.html', 'suite.html', 'frame.html', 'start-frame.html'].map((file) => join(root, file)) },
    },
  });
}

/** What is measured: `git describe`, or `unknown` where there is no git. */
function commit() {
  try {
    const command = ['describe', '--always', '--dirty', '--abbrev=12'];
    return execFileSync('git', command, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
