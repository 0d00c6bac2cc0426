import { afterEach, expect, test, vi } from 'vitest';
import { deleteModel, listModels, persistModels } from '../../src/cache.ts';

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
