/** `TABSERVE_UPDATE=1 npx vitest run --project unit test/unit/demo/babble.test.ts` writes the file anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { tinyModel } from '../../support/tiny-model.ts';

const FILE = new URL('../../../demo/public/babble.gguf', import.meta.url);

test('the demo’s babbling model is what its seed gives', () => {
  const bytes = Buffer.from(tinyModel({ preset: 'babble', type: 'mixed', hiddenSize: 96, intermediateSize: 192 }));
  if (process.env['TABSERVE_UPDATE'] !== undefined) writeFileSync(FILE, bytes);
  expect(bytes.length).toBeLessThan(300_000);
  expect(readFileSync(FILE).equals(bytes)).toBe(true);
});
