import { afterEach, expect, test, vi } from 'vitest';
import { deleteModel, listModels, modelName, persistModels } from '../../src/cache.ts';

afterEach(() => vi.unstubAllGlobals());

test('without storage there is nothing to list or delete, and nothing persists', async () => {
  expect(await listModels()).toEqual([]);
  await expect(deleteModel('https://x.test/m.gguf')).resolves.toBeUndefined();
  expect(await persistModels()).toBe(false);
});

test.each([
  ['grants it', () => Promise.resolve(true), true],
  ['does not', () => Promise.resolve(false), false],
  ['fails', () => Promise.reject(new TypeError('not allowed here')), false],
])('persistModels tells whether the browser %s', async (_case, persist, granted) => {
  vi.stubGlobal('navigator', { storage: { persist } });
  expect(await persistModels()).toBe(granted);
});

test('storage that refuses is an error of ours', async () => {
  vi.stubGlobal('navigator', { storage: { getDirectory: () => Promise.reject(new Error('no')) } });
  vi.stubGlobal('indexedDB', { open: () => { throw new DOMException('Denied.', 'SecurityError'); } });
  await expect(listModels()).rejects.toMatchObject({ code: 'storage_failed', message: expect.stringMatching(/Denied/) });
  await expect(deleteModel('x')).rejects.toMatchObject({ code: 'storage_failed' });
});

test.each([
  ['../m.gguf?v=2#part', {}, 'https://page.test/m.gguf?v=2'],
  ['m.gguf', { baseUrl: 'https://other.test/x/' }, 'https://other.test/x/m.gguf'],
  ['hf:o/r/m.gguf', {}, 'https://huggingface.co/o/r/resolve/main/m.gguf'],
  ['hf:o/r/m.gguf', { hub: { endpoint: 'https://hub.test/' } }, 'https://hub.test/o/r/resolve/main/m.gguf'],
  ['https://a.test/m.gguf?token=secret', {}, expect.stringMatching(/^https:\/\/a\.test\/m\.gguf\?token=~[0-9a-f]{16}$/)],
])('%s, with %j, is stored as %s', (source, options, name) => {
  vi.stubGlobal('document', { baseURI: 'https://page.test/app/' });
  expect(modelName(source, options)).toEqual(name);
});

test('what names no model has no name', () => {
  expect(() => modelName('ftp://a/m.gguf', { baseUrl: 'https://page.test/' })).toThrow(expect.objectContaining({ code: 'invalid_request' }));
});
