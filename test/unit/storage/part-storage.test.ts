import { expect, test } from 'vitest';
import { newManifest, withPart } from '../../../src/storage/cache-manifest.ts';
import { openCachedSource } from '../../../src/download/cached-source.ts';
import { listModels, removeModel, sweepModels } from '../../../src/storage/model-storage.ts';
import { lockUrl } from '../../../src/storage/part-storage.ts';
import { sha256 } from '../../../src/storage/sha256.ts';
import { memoryStorage } from './memory-storage.ts';

// What is stored, and who deletes it while another one is at it.

const url = 'https://x.test/m.gguf';
const bytes = new Uint8Array(100).fill(7);
const version = { size: 100, etag: undefined, lastModified: undefined };

async function whole() {
  const storage = memoryStorage();
  await storage.writePart(url, 0, bytes);
  storage.manifests.set(url, withPart(newManifest({ url, version, partBytes: 100, lastUsed: 1 }), 0, await sha256(bytes)));
  return storage;
}

test('a sweep deletes folders without a manifest and manifests that are none, and waits for who is about to write one', async () => {
  const storage = await whole();
  const manifest = storage.manifests.get(url);
  storage.manifests.clear();
  await storage.writePart('https://x.test/orphan.gguf', 2, bytes);
  storage.manifests.set('https://x.test/none.gguf', { url: 'https://x.test/none.gguf' } as never);
  await storage.writePart('https://x.test/none.gguf', 0, bytes);
  const listed = await storage.listFolders();
  let swept = Promise.resolve();
  await lockUrl(storage, url, async () => {
    const seen = new Promise<void>((resolve) => {
      storage.listFolders = async () => {
        resolve();
        return listed;
      };
    });
    swept = sweepModels(storage);
    await seen; // the folder, which has no manifest yet
    await new Promise((resolve) => setTimeout(resolve));
    if (manifest !== undefined) storage.manifests.set(url, manifest);
  });
  await swept;
  expect([...storage.parts.keys()]).toEqual([`${url}#0`]);
  expect([...storage.manifests.keys()]).toEqual([url]);
});

test('what is deleted while its server is asked for a newer version is not stored again without its parts', async () => {
  const storage = await whole();
  const checkVersion = async () => {
    await removeModel(url, storage);
    return undefined;
  };
  const openRemote = () => Promise.reject(new Error('not asked'));
  const source = await openCachedSource({
    name: url, storage, openRemote, checkVersion, isPinned: false, log: () => {}, now: () => 2, partBytes: 100,
  });
  expect(source.size).toBe(100);
  expect(await listModels(storage)).toEqual([]);
});

test('what another version has taken the place of meanwhile stays as that is', async () => {
  const storage = await whole();
  const other = { ...version, etag: '"2"' };
  const newer = newManifest({ url, version: other, partBytes: 100, lastUsed: 5 });
  storage.manifests.set(url, { ...newer, version: { ...version, etag: '"1"' }, parts: ['a'.repeat(64)] });
  const checkVersion = async () => {
    storage.manifests.set(url, newer);
    return undefined;
  };
  const openRemote = () => Promise.reject(new Error('not asked'));
  await openCachedSource({ name: url, storage, openRemote, checkVersion, isPinned: false, log: () => {}, now: () => 2, partBytes: 100 });
  expect(storage.manifests.get(url)).toEqual(newer);
});
