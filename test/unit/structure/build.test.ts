import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build as bundle } from 'esbuild';
import { build } from 'vite';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from './source-graph.ts';

test('the package is a small client that names its worker as bundlers recognise, the cache’s API, and the worker', async () => {
  const outDir = mkdtempSync(join(tmpdir(), 'tabserve-build-'));
  onTestFinished(() => rmSync(outDir, { recursive: true }));
  for (const mode of ['production', 'worker']) {
    await build({ root: ROOT, mode, logLevel: 'silent', build: { outDir, emptyOutDir: false } });
  }
  expect(readdirSync(outDir).filter((file) => file.endsWith('.js'))).toEqual(['cache.js', 'engine-worker.js', 'index.js', 'shared.js', 'testing.js']);
  const client = readFileSync(join(outDir, 'index.js'), 'utf8');
  const started = client.matchAll(
    /new (\w+)\(new URL\(\s*"\.\/engine-worker\.js",\s*import\.meta\.url\s*\), \{\s*type: "module"/g,
  );
  expect([...started].map(([, kind]) => kind)).toEqual(['SharedWorker', 'Worker', 'SharedWorker']);
  expect(client).not.toContain('@compute');
  expect(importsIn(client).toSorted()).toEqual(['./shared.js', 'comlink']);
  for (const entry of ['cache.js', 'testing.js']) expect(importsIn(readFileSync(join(outDir, entry), 'utf8'))).toEqual(['./shared.js']);
  expect(client).not.toContain('injectFault');

  const worker = readFileSync(join(outDir, 'engine-worker.js'), 'utf8');
  expect(worker).toContain('@compute');
  expect(worker).not.toContain('// mutation:');
  expect(importsIn(worker)).toEqual([]);

  const sizes = {
    client: await shippedBytes(outDir, 'index.js'),
    cache: await shippedBytes(outDir, 'cache.js', '{ deleteModel, listModels, persistModels }'),
    // With SHA-256, which stands for the secrets of a URL.
    cacheWithNames: await shippedBytes(outDir, 'cache.js'),
    worker: gzipSync(worker, { level: 9 }).length,
  };
  console.log(`gzipped bytes: ${JSON.stringify(sizes)}`);
  expect(sizes.client).toBeLessThanOrEqual(22_000);
  expect(sizes.cache).toBeLessThanOrEqual(2_500);
  expect(sizes.cacheWithNames).toBeLessThanOrEqual(7_000);
  expect(sizes.worker).toBeLessThanOrEqual(158_000);
});

/** What an app ships of it that uses these exports: bundled with its dependency, minified, gzipped. */
async function shippedBytes(outDir: string, file: string, exports = '*'): Promise<number> {
  const { outputFiles } = await bundle({
    stdin: { contents: `export ${exports} from './${file}';`, resolveDir: outDir }, bundle: true, minify: true, format: 'esm', target: 'es2022', write: false,
    nodePaths: [join(ROOT, 'node_modules')], logLevel: 'silent',
  });
  return gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length;
}

/** What a built module imports from elsewhere. */
function importsIn(code: string): readonly (string | undefined)[] {
  return [...code.matchAll(/^import\b.*?(["'])(?<from>[^"']+)\1;/gm)].map((match) => match.groups?.['from']);
}
