// @ts-check
/**
 * Makes the Dawn bench one file, for a machine that has Node and the `webgpu` package beside the file, and nothing else:
 *
 *     node test/bench/dawn/pack.mjs OUT.mjs
 *     node OUT.mjs --quick --json figures.jsonl     there
 */
import { readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { describeCommit } from '../../../demo/bench/commit.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * @param {string} out the file to write
 * @param {URL} [entry]
 */
export async function packBench(out, entry = new URL('main.ts', import.meta.url)) {
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    define: {
      __TABSERVE_BUILD_ID__: JSON.stringify('bench'),
      __BENCH_COMMIT__: JSON.stringify(describeCommit()),
      __BENCH_VERSION__: JSON.stringify(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version),
    },
    ssr: { noExternal: true },
    build: {
      ssr: fileURLToPath(entry),
      target: 'node20',
      outDir: dirname(resolve(out)),
      emptyOutDir: false,
      copyPublicDir: false,
      minify: false,
      rolldownOptions: { output: { entryFileNames: basename(out), codeSplitting: false } },
    },
  });
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [out] = process.argv.slice(2);
  if (out === undefined) throw new Error('Which file? node test/bench/dawn/pack.mjs OUT.mjs');
  await packBench(out);
}
