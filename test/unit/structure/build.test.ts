import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from './source-graph.ts';

test('the package is two files: a small client that names its worker as bundlers recognise, and the worker', async () => {
  const outDir = mkdtempSync(join(tmpdir(), 'tabserve-build-'));
  onTestFinished(() => rmSync(outDir, { recursive: true }));
  for (const mode of ['production', 'worker']) {
    await build({ root: ROOT, mode, logLevel: 'silent', build: { outDir, emptyOutDir: false } });
  }
  expect(readdirSync(outDir).filter((file) => file.endsWith('.js'))).toEqual(['engine-worker.js', 'index.js']);
  const client = readFileSync(join(outDir, 'index.js'), 'utf8');
  const started = client.matchAll(
    /new (\w+)\(new URL\(\s*"\.\/engine-worker\.js",\s*import\.meta\.url\s*\), \{\s*type: "module"/g,
  );
  expect([...started].map(([, kind]) => kind)).toEqual(['SharedWorker', 'Worker', 'SharedWorker']);
  expect(client).not.toContain('@compute');
  expect(client.length).toBeLessThan(70_000);
  expect(importsIn(client)).toEqual(['comlink']);

  const worker = readFileSync(join(outDir, 'engine-worker.js'), 'utf8');
  expect(worker).toContain('@compute');
  expect(importsIn(worker)).toEqual([]);
});

/** What a built module imports from elsewhere. */
function importsIn(code: string): readonly (string | undefined)[] {
  return [...code.matchAll(/^import\b.*?(["'])(?<from>[^"']+)\1;/gm)].map((match) => match.groups?.['from']);
}
