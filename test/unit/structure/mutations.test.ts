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
