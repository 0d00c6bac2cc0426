import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { expect, test } from 'vitest';
import { WEBGPU_BROWSERS } from '../../../src/core/webgpu-browsers.ts';
import { RANKS } from './layer-rules.ts';
import { listFiles, readText, ROOT } from './source-graph.ts';

const README = readText('README.md');
const ARCHITECTURE = readText('src/README.md');
const PAGES = ['README.md', 'CHANGELOG.md', ...['src', 'shaders', 'demo', 'docs', 'test'].flatMap((folder) => listFiles(folder, '.md'))];

interface Link {
  readonly page: string;
  readonly path: string;
  readonly anchor: string | undefined;
}

/** A page's links into the repository, by paths from its root. */
function linksOf(page: string): readonly Link[] {
  return [...readText(page).matchAll(/\]\((?!https?:)(?<path>[^)#\s]*)(?:#(?<anchor>[^)\s]*))?\)/g)].map(({ groups }) => {
    const path = groups?.['path'] ?? '';
    return { page, path: path === '' ? page : posix.join(posix.dirname(page), path), anchor: groups?.['anchor'] };
  });
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): readonly string[] {
  const titles = [...readText(page).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title);
  return titles.map((title) => title.toLowerCase().replace(/[^\w -]/g, '').replaceAll(' ', '-'));
}

function isBroken({ path, anchor }: Link): boolean {
  return !existsSync(join(ROOT, path)) || (anchor !== undefined && !anchorsOf(path).includes(anchor));
}

/** Files and folders that a page names in backticks: from the root, or from src/ by the name of a layer. */
function namesOf(page: string): readonly string[] {
  const spans = [...readText(page).matchAll(/`(?<span>[\w./-]+)`/g)].map(({ groups }) => groups?.['span'] ?? '');
  return spans.flatMap((span) => {
    if (/^(src|shaders|demo|docs|test)\//.test(span)) return [span];
    const [folder = '', rest = ''] = span.split('/');
    return folder in RANKS && /\.ts$|^$/.test(rest) && span.includes('/') ? [`src/${span}`] : [];
  });
}

test('a newcomer has a short page, and a developer another', () => {
  expect(README.trimEnd().split('\n').length).toBeLessThanOrEqual(140);
  expect(ARCHITECTURE.trimEnd().split('\n').length).toBeLessThanOrEqual(130);
});

test('links of all pages lead to what is there', () => {
  const links = PAGES.flatMap(linksOf);
  expect(links.length).toBeGreaterThan(80);
  expect(links.filter(isBroken)).toEqual([]);
  expect(isBroken({ page: 'README.md', path: 'README.md', anchor: 'no-such-heading' })).toBe(true);
  expect(isBroken({ page: 'README.md', path: 'docs/nothing.md', anchor: undefined })).toBe(true);
});

test('files and folders that pages name are there', () => {
  const built = ['demo/dist', 'demo/dist/'];
  const histories = ['CHANGELOG.md', 'test/bench/LOG.md', 'test/mutations/results.md'];
  const names = PAGES.filter((page) => !histories.includes(page)).flatMap((page) => namesOf(page).map((name) => ({ page, name })));
  expect(names.length).toBeGreaterThan(80);
  expect(names.filter(({ name }) => !built.includes(name) && !name.includes('NAME') && !existsSync(join(ROOT, name)))).toEqual([]);
});

test('every chapter is linked from README.md, src/README.md or another chapter', () => {
  const reached = new Set(['README.md']);
  for (const page of reached) for (const { path } of linksOf(page)) if (path.endsWith('.md')) reached.add(path);
  expect(PAGES.filter((page) => page.startsWith('docs/') && !reached.has(page))).toEqual([]);
});

test('commands that pages name are in package.json', () => {
  const { scripts } = JSON.parse(readText('package.json')) as { readonly scripts: Readonly<Record<string, string>> };
  const named = PAGES.flatMap((page) => [...readText(page).matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name]) => name ?? ''));
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});

test('README.md has the browsers that the errors name, with their versions', () => {
  for (const { browser, from } of WEBGPU_BROWSERS) expect(README).toContain(`| ${browser} | ${from} |`);
});

test('README.md’s tree has the layers of src/, and src/README.md their ranks', () => {
  const tree = README.slice(README.indexOf('```text')).split('```')[1] ?? '';
  const layers = new Set(listFiles('src', '.ts').map((file) => file.split('/')[1] ?? '').filter((name) => !name.includes('.')));
  expect([...tree.matchAll(/^ {2}([\w-]+)\/ /gm)].map(([, name]) => name).toSorted()).toEqual([...layers].toSorted());
  const rows = [...ARCHITECTURE.matchAll(/^\| (\d+) \| `(\w+)\/` \|/gm)].map(([, rank, folder]) => [folder, Number(rank)]);
  expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(Object.entries(RANKS).filter(([folder]) => layers.has(folder))));
});

test('pages run no package that is not pinned, and the esbuild that the tests have run', () => {
  const { version } = JSON.parse(readText('node_modules/esbuild/package.json')) as { readonly version: string };
  const run = ['README.md', 'docs/install.md'].flatMap((page) => [...readText(page).matchAll(/\bnpx (\S+)/g)].map(([, name]) => name));
  expect(run).toEqual([`esbuild@${version}`]);
});
