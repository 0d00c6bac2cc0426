// @ts-check
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../src/service-worker.ts', import.meta.url));

/**
 * Builds the page's service worker into the folder of the built page, with the list of its files.
 *
 * @param {string} outDir
 */
export async function buildServiceWorker(outDir) {
  const { build } = await import('vite');
  const files = pageFiles(outDir);
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(outDir, file)));
  await build({
    configFile: false,
    logLevel: 'warn',
    define: {
      __PAGE_FILES__: JSON.stringify(files.map((file) => (file === 'index.html' ? './' : file))),
      __PAGE_VERSION__: JSON.stringify(hash.digest('hex').slice(0, 16)),
    },
    build: {
      target: 'es2022',
      outDir,
      emptyOutDir: false,
      copyPublicDir: false,
      lib: { entry: SOURCE, formats: ['es'], fileName: () => 'service-worker.js' },
    },
  });
}

/** What the page is made of: not the benchmark's page, no models, nothing for developers.
 * @param {string} outDir */
function pageFiles(outDir) {
  return readdirSync(outDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(outDir, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((file) => !/^(bench|models)\/|^service-worker\.js$|\.(map|gguf)$/.test(file))
    .toSorted();
}
