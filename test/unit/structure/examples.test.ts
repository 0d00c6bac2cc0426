import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readText, ROOT } from './source-graph.ts';

const EXAMPLES = readdirSync(join(ROOT, 'docs/examples'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .toSorted();

test('every example is in the list, and is run by a test', () => {
  expect(EXAMPLES).toContain('react');
  const rows = readText('docs/examples/README.md').matchAll(/^\| \[(?<name>[\w-]+)\]\(\k<name>\) \|/gm);
  expect([...rows].map(({ groups }) => groups?.['name']).toSorted()).toEqual(EXAMPLES);
  const installed = readText('test/examples/examples.test.ts').matchAll(/installed\('(?<name>[\w-]+)'\)/g);
  expect([...installed].map(({ groups }) => groups?.['name']).toSorted()).toEqual(EXAMPLES);
});

test('examples take the version of tabserve that this is', () => {
  const { version } = JSON.parse(readText('package.json')) as { version: string };
  const wanted = EXAMPLES.filter((name) => readdirSync(join(ROOT, 'docs/examples', name)).includes('package.json')).map((name) => {
    const { dependencies } = JSON.parse(readText(`docs/examples/${name}/package.json`)) as { dependencies: Record<string, string> };
    return dependencies['tabserve'];
  });
  expect(wanted.length).toBeGreaterThan(3);
  expect(new Set(wanted)).toEqual(new Set([`^${version}`]));
});
