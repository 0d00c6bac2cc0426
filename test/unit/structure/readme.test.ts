import { expect, test } from 'vitest';
import { WEBGPU_BROWSERS } from '../../../src/core/webgpu-browsers.ts';
import { readText } from './source-graph.ts';

const README = readText('README.md');

test('README.md has the browsers that the errors name, with their versions', () => {
  for (const { browser, from } of WEBGPU_BROWSERS) expect(README).toContain(`| ${browser} | ${from} |`);
});

test('README.md links to what is there', () => {
  const links = [...README.matchAll(/\]\((?!https?:)(?<path>[^)#]*)(?<anchor>#[^)]*)?\)/g)];
  expect(links.length).toBeGreaterThan(8);
  const headings = [...README.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => `#${title.toLowerCase().replace(/[^\w -]/g, '').replaceAll(' ', '-')}`);
  for (const { groups } of links) {
    if (groups?.['path'] === '') expect(headings).toContain(groups['anchor']);
    else if (!/\.png$|\/[^./]*$/.test(groups?.['path'] ?? '')) expect(readText(groups?.['path'] ?? '')).not.toBe('');
  }
});

test('README.md runs no package that is not pinned, and the esbuild that the tests have run', () => {
  const { version } = JSON.parse(readText('node_modules/esbuild/package.json')) as { readonly version: string };
  expect([...README.matchAll(/\bnpx (\S+)/g)].map(([, name]) => name)).toEqual([`esbuild@${version}`]);
});
