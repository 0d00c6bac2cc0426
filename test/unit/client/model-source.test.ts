import { expect, test } from 'vitest';
import { checkModelSource, resolveSource } from '../../../src/client/model-source.ts';
import { createClient } from '../../../src/index.ts';

test.each([
  ['models/a.gguf', 'https://x.test/app/models/a.gguf'],
  ['/models/a.gguf', 'https://x.test/models/a.gguf'],
  ['hf:o/r/f.gguf@main', 'hf:o/r/f.gguf@main'],
  ['https://y.test/a.gguf', 'https://y.test/a.gguf'],
  [' hf:o/r/sub dir/f.gguf ', 'hf:o/r/sub dir/f.gguf'],
])('the model %s is asked for as %s', (model, expected) => {
  expect(resolveSource(model, 'https://x.test/app/index.html?a=1')).toBe(expected);
});

test('a URL, a path, a hub name and a File are models', () => {
  for (const model of ['https://y.test/a.gguf', 'a.gguf', 'hf:o/r/f.gguf', new File([], 'a.gguf')]) {
    expect(checkModelSource(model)).toBe(model);
  }
});

// As callers without types may write it. The model is looked at before the browser is.
test.each([
  ['no options', undefined, /missing.*hf:owner\/repo\/file\.gguf.*File/],
  ['no model', {}, /missing/],
  ['an empty one', { model: '' }, /empty/],
  ['spaces', { model: '  ' }, /empty/],
  ['null', { model: null }, /null/],
  ['a number', { model: 7 }, /number/],
  ['a URL object', { model: new URL('https://y.test/a.gguf') }, /href/],
  ['a Blob', { model: new Blob([]) }, /new File/],
])('createClient with %s is refused, with what to give', async (_name, options, message) => {
  const refused = (createClient as (options: unknown) => Promise<unknown>)(options);
  await expect(refused).rejects.toMatchObject({
    name: 'TabserveError', code: 'invalid_request', param: 'model', message: expect.stringMatching(message),
  });
});
