import { expect, test } from 'vitest';
import { writeReference } from '../../../docs/reference.mjs';
import { readText } from './source-graph.ts';

test('docs/api.md says what the docstrings say (npm run docs writes it), and every export has one', () => {
  const reference = writeReference();
  expect(readText('docs/api.md')).toBe(reference);
  for (const part of ['#### createClient', '#### listModels', 'workerUrl?', '#### TabserveError']) expect(reference).toContain(part);
  const codes = /^export type ErrorCode =([^;]+);/m.exec(readText('src/core/errors.ts'))?.[1]?.match(/(?<=')\w+(?=')/g);
  expect(codes?.length).toBeGreaterThan(10);
  for (const code of codes ?? []) expect(reference).toMatch(new RegExp(`^- \`${code}\`: .+`, 'm'));
  expect(reference).not.toMatch(/#private|export |declare /);
});
