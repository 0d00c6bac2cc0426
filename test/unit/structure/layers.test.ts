import { expect, test } from 'vitest';
import { cycles, layerViolations, RANKS, reachableFrom } from './layer-rules.ts';
import { importsOf, listFiles, readSourceGraph, readText, relativePathsIn } from './source-graph.ts';

const graph = readSourceGraph('src', 'demo');

const CLIENT_PACKAGES = ['comlink'];
/** Inside dist/engine-worker.js, with their licences. */
const WORKER_PACKAGES = ['idb-keyval', '@huggingface/hub', '@huggingface/jinja', '@noble/hashes/sha2.js'];

test('imports go to lower layers only', () => {
  expect(graph.size).toBeGreaterThan(20);
  expect(layerViolations(graph)).toEqual([]);
});

test('nothing that ships, nor the docs that are written from it, needs a file of test/', () => {
  const endings = ['.ts', '.mjs', '.js', '.html', '.css', '.json'];
  const shipped = ['src', 'shaders', 'demo', 'docs'].flatMap((folder) => listFiles(folder, ...endings));
  expect(shipped).toEqual(expect.arrayContaining(['demo/server/page.mjs', 'demo/bench/index.html', 'docs/build.mjs']));
  const named = shipped.flatMap((file) =>
    relativePathsIn(file, readText(file)).filter((path) => /^test(\/|$)/.test(path)).map((path) => `${file} names ${path}`),
  );
  expect(named).toEqual([]);
});

test('no import cycles', () => {
  expect(cycles(graph)).toEqual([]);
});

test('every folder of src/ is a layer', () => {
  const folders = listFiles('src', '.ts').map((file) => file.split('/').slice(1, -1)[0]);
  for (const folder of new Set(folders.filter((name) => name !== undefined))) expect(RANKS).toHaveProperty(folder);
});

test('an app that installs the library installs no more than the client imports', () => {
  const targets = [...graph].flatMap(([file, imports]) => (file.startsWith('src/') ? imports : []));
  expect(new Set(targets.filter(isPackage))).toEqual(new Set([...CLIENT_PACKAGES, ...WORKER_PACKAGES]));
  const { dependencies } = JSON.parse(readText('package.json')) as { dependencies: Record<string, string> };
  expect(Object.keys(dependencies)).toEqual(CLIENT_PACKAGES);
});

test('the client stays small: it draws in the protocol and the wire format, not the engine', () => {
  const reached = [...reachableFrom('src/index.ts', graph)];
  expect(
    reached
      .filter((file) => file.startsWith('src/'))
      .filter((file) => !/^src\/(index\.ts|(core|api|client)\/)/.test(file)),
  ).toEqual([]);
  expect(reached.filter(isPackage)).toEqual(CLIENT_PACKAGES);
});

test('WGSL lies in .wgsl files', () => {
  const inTypeScript = [...listFiles('src', '.ts'), ...listFiles('demo', '.ts')].filter((file) =>
    /@compute\b|@workgroup_size|@group\(\s*\d/.test(withoutComments(readText(file))),
  );
  expect(inTypeScript).toEqual([]);
});

test('the rules find what they forbid', () => {
  const bad = new Map([
    ['src/gpu/a.ts', ['src/storage/b.ts', 'src/kernels/c.ts', 'src/core/d.ts', 'node:fs']],
    ['src/engine/e.ts', ['src/runner/f.ts', 'src/index.ts', 'shaders/x.wgsl', 'test/support/y.ts']],
    ['demo/src/g.ts', ['src/index.ts', 'src/core/d.ts', 'src/client/h.ts', 'demo/bench/n.ts']],
    ['demo/server/j.mjs', ['node:fs', 'demo/bench/build.mjs', 'test/bench/k.mjs']],
    ['demo/bench/l.ts', ['src/runner/f.ts', 'demo/src/g.ts', 'shaders/x.wgsl', 'test/support/m.ts']],
    ['src/odd/i.ts', ['src/core/d.ts']],
  ]);
  expect(layerViolations(bad)).toEqual([
    'src/gpu/a.ts imports src/storage/b.ts: gpu/ and storage/ are siblings',
    'src/gpu/a.ts imports src/kernels/c.ts: gpu/ (1) is below kernels/ (2)',
    'src/gpu/a.ts imports node:fs: a browser has no Node modules',
    'src/engine/e.ts imports src/index.ts: nothing imports the entry point',
    'src/engine/e.ts imports shaders/x.wgsl: only gpu and kernels read shaders',
    'src/engine/e.ts imports test/support/y.ts: the library stands alone',
    'demo/src/g.ts imports src/client/h.ts: the demo uses what every app has: src/index.ts, src/cache.ts, src/testing.ts, and the types of src/core',
    'demo/src/g.ts imports demo/bench/n.ts: the demo uses what every app has: src/index.ts, src/cache.ts, src/testing.ts, and the types of src/core',
    'demo/server/j.mjs imports test/bench/k.mjs: the demo ships, the tests do not',
    'demo/bench/l.ts imports shaders/x.wgsl: the demo uses what every app has: src/index.ts, src/cache.ts, src/testing.ts, and the types of src/core',
    'demo/bench/l.ts imports test/support/m.ts: the demo ships, the tests do not',
    'src/odd/i.ts imports src/core/d.ts: odd/ is no layer',
  ]);
  expect(
    cycles(
      new Map([
        ['a', ['b']],
        ['b', ['c', 'd']],
        ['c', ['b']],
        ['d', []],
      ]),
    ),
  ).toEqual([['b', 'c', 'b']]);
});

test('every way to import is seen', () => {
  const text = `import a, { type T } from './a.ts';
    import type { B } from '../core/b.ts';
    import shader from '../../shaders/c.wgsl?raw';
    export * from './d.ts';
    export type { E } from './e.ts';
    import './f.ts';
    import * as pkg from '@scope/pkg';
    const later = await import('./g.ts');
    const shaders = import.meta.glob('../../shaders/**/*.wgsl', { query: '?raw' });
    type H = import('./h.ts').H;`;
  expect([...importsOf('src/x/y.ts', text)].toSorted()).toEqual(
    [
      '@scope/pkg',
      'shaders/**/*.wgsl',
      'shaders/c.wgsl',
      'src/core/b.ts',
      ...['a', 'd', 'e', 'f', 'g', 'h'].map((name) => `src/x/${name}.ts`),
    ].toSorted(),
  );
});

test('every relative path is seen', () => {
  const text = `<link href="../a.css" /> new URL('./b.ts', import.meta.url) @import url(../../c/d.css); \`../e\` a/../f './'`;
  expect(relativePathsIn('demo/x/y.html', text)).toEqual(['demo/a.css', 'demo/x/b.ts', 'c/d.css', 'demo/e', 'demo/x/']);
});

function isPackage(target: string): boolean {
  return !/^(src|demo|shaders|test)\/|^node:/.test(target);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, '');
}
