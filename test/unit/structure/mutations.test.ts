import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MUTATIONS } from '../../mutations/mutations.mjs';
import { anchorsIn, mutate } from '../../mutations/table.mjs';
import { listFiles, readText, ROOT } from './source-graph.ts';

test('every mutation still has its place in the sources, and tests that exist', () => {
  for (const mutation of MUTATIONS) {
    expect(mutate(readText(mutation.file), mutation)).not.toBe(readText(mutation.file));
    expect(mutation.tests.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  }
  expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
});

test('there are at least 40, over all that may go wrong in silence, and none has survived', () => {
  expect(MUTATIONS.length).toBeGreaterThanOrEqual(40);
  const areas = ['kernels', 'repacking', 'tokenizer', 'scheduler', 'cache', 'protocol', 'client'];
  expect(MUTATIONS.map(({ area }) => area)).toEqual(expect.arrayContaining(areas));
  const table = readText('test/mutations/results.md');
  for (const { name, survives } of MUTATIONS) {
    const row = table.split('\n').find((line) => line.includes(`| ${name} |`)) ?? `no row of: ${name}`;
    if (survives === undefined) expect(row).toMatch(/\.test\.ts` \|$/);
    else expect(row).toContain(survives);
  }
});

test('every mutation of a shader names an anchor, and each anchor is named by one mutation', () => {
  const named = MUTATIONS.filter(({ file }) => file.endsWith('.wgsl')).map(({ file, anchor }) => `${file} ${anchor}`);
  const standing = listFiles('shaders', '.wgsl').flatMap((file) => anchorsIn(readText(file)).map((anchor) => `${file} ${anchor}`));
  expect(standing.toSorted()).toEqual(named.toSorted());
});

test.each([
  ['missing', 'x = 1;', /anchor gate 0 times/],
  ['double', 'x = 1; // mutation: gate\nx = 1; // mutation: gate', /anchor gate 2 times/],
  ['on another line', 'x = 1;\ny = 1; // mutation: gate', /its text 0 times/],
])('an anchor that is %s is an error', (_, text, error) => {
  const mutation = { area: 'kernels', name: 'n', file: 'f.wgsl', anchor: 'gate', from: 'x = 1', to: 'x = 2', tests: [] };
  expect(() => mutate(text, mutation)).toThrow(error);
  expect(mutate('x = 1;\n  x = 1; // mutation: gate\n', mutation)).toBe('x = 1;\n  x = 2; // mutation: gate\n');
});
