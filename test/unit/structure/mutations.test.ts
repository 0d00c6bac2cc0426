import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MUTATIONS } from '../../mutations/mutations.mjs';
import { mutate } from '../../mutations/table.mjs';
import { readText, ROOT } from './source-graph.ts';

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
