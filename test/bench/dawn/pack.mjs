// @ts-check
/**
 * Makes the Dawn bench one file, for a machine that has Node and the `webgpu` package beside the file, and nothing else:
 *
 *     node test/bench/dawn/pack.mjs OUT.mjs
 *     node OUT.mjs --quick --json figures.jsonl     there
 */
import { spawnSync } from 'node:child_process';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** @param {string} out the file to write */
export async function packBench(out) {
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    define: {
      __TABSERVE_BUILD_ID__: JSON.stringify('bench'),
      __BENCH_COMMIT__: JSON.stringify(commit()),
    },
    ssr: { noExternal: true },
    build: {
      ssr: fileURLToPath(new URL('main.ts', import.meta.url)),
      target: 'node20',
      outDir: dirname(resolve(out)),
      emptyOutDir: false,
      copyPublicDir: false,
      minify: false,
      rolldownOptions: { output: { entryFileNames: basename(out), codeSplitting: false } },
    },
  });
}

/** What is being packed: the commit, and whether files differ from it. */
function commit() {
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : 'unknown';
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [out] = process.argv.slice(2);
  if (out === undefined) throw new Error('Which file? node test/bench/dawn/pack.mjs OUT.mjs');
  await packBench(out);
}
