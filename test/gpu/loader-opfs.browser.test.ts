import { beforeEach, describe, expect, test } from 'vitest';
import { persistModels } from '../../src/cache.ts';
import type { LoadProgress } from '../../src/core/progress.ts';
import { newManifest } from '../../src/storage/cache-manifest.ts';
import { listModels, removeModel, sweepModels } from '../../src/storage/model-storage.ts';
import { openSource } from '../../src/download/open-source.ts';
import { opfsStorage } from '../../src/storage/opfs-storage.ts';
import { lockUrl } from '../../src/storage/part-storage.ts';
import { firstDifference, seededFile } from '../unit/download/seeded-bytes.ts';
import { CONTENT_BYTES, MODEL_URL, rangedFetch } from './loader-ranged-fetch.ts';
import type { RangedFetch } from './loader-ranged-fetch.ts';

const storage = opfsStorage();
if (storage === undefined) throw new Error('this browser has no OPFS');
const content = seededFile(CONTENT_BYTES);
let lines: string[];
let stages: Set<LoadProgress['stage']>;

beforeEach(async () => {
  lines = [];
  stages = new Set();
  for (const { url } of await listModels(storage)) await removeModel(url, storage);
});

/** Opens and reads the whole; `firstDifference` from the content that `seed` makes. */
async function load(server: RangedFetch, expected = content): Promise<number> {
  const source = await openSource(MODEL_URL, {
    baseUrl: location.href,
    onProgress: ({ stage }) => stages.add(stage),
    log: (_level, message) => lines.push(message),
    http: {
      fetch: server.fetch,
      retries: { attempts: 2, firstDelayMs: 0, maxDelayMs: 0, sleep: () => Promise.resolve() },
    },
  });
  const all = new Uint8Array(source.size);
  const step = 1_000_000;
  for (let at = 0; at < source.size; at += step) all.set(await source.read(at, Math.min(step, source.size - at)), at);
  return firstDifference(all, expected);
}

/** The handle of a stored part's file, wherever the storage has put it. */
async function partFile(index: number): Promise<FileSystemFileHandle> {
  const models = await (await navigator.storage.getDirectory()).getDirectoryHandle('tabserve-models');
  for await (const model of models.values()) {
    if (model instanceof FileSystemDirectoryHandle) return model.getFileHandle(`part-0000${index}`);
  }
  throw new Error('nothing is stored');
}

async function fileCount(): Promise<number> {
  const models = await (await navigator.storage.getDirectory()).getDirectoryHandle('tabserve-models');
  let count = 0;
  for await (const model of models.values()) {
    if (model instanceof FileSystemDirectoryHandle) for await (const _ of model.values()) count++;
  }
  return count;
}

describe('OPFS and IndexedDB', () => {
  test('a second visit downloads nothing', async () => {
    const first = rangedFetch();
    expect(await load(first)).toBe(-1);
    expect(first.bytesSent).toBe(64 + CONTENT_BYTES);
    expect([...stages]).toEqual(['open', 'download']);
    expect(await fileCount()).toBe(3);
    stages.clear();
    const second = rangedFetch();
    expect(await load(second)).toBe(-1);
    expect(second.bytesSent).toBe(0);
    expect([...stages]).toEqual(['open', 'load']);
    expect(lines).toEqual([]);
  });

  test.each<[string, RegExp, (part: FileSystemFileHandle, writable: FileSystemWritableFileStream) => Promise<void>]>([
    ['changed in one bit', /damaged/, async (part, writable) => {
      const byte = new Uint8Array(await (await part.getFile()).slice(5_000_000, 5_000_001).arrayBuffer());
      await writable.write({ type: 'write', position: 5_000_000, data: byte.map((value) => value ^ 1) });
    }],
    ['cut short', /cut short/, (_part, writable) => writable.truncate(100)],
  ])('a part %s is fetched again, and it alone', async (_name, message, spoil) => {
    await load(rangedFetch());
    const part = await partFile(1);
    const writable = await part.createWritable({ keepExistingData: true });
    await spoil(part, writable);
    await writable.close();
    const server = rangedFetch();
    expect(await load(server)).toBe(-1);
    expect(server.bytesSent).toBe(64 + 8 * 1024 * 1024);
    expect(lines).toEqual([expect.stringMatching(message)]);
    const again = rangedFetch();
    expect(await load(again)).toBe(-1);
    expect(again.bytesSent).toBe(0);
  });

  test('an interrupted download goes on where it was', async () => {
    const server = rangedFetch();
    server.failFrom = 16 * 1024 * 1024;
    await expect(load(server)).rejects.toMatchObject({ code: 'download_failed' });
    expect((await listModels(storage)).map((model) => model.bytesCached)).toEqual([16 * 1024 * 1024]);
    const resumed = rangedFetch();
    expect(await load(resumed)).toBe(-1);
    expect(resumed.bytesSent).toBe(64 + CONTENT_BYTES - 16 * 1024 * 1024);
  });

  test('another version replaces what is stored', async () => {
    await load(rangedFetch(1));
    const changed = rangedFetch(2);
    expect(await load(changed, seededFile(CONTENT_BYTES, 2))).toBe(-1);
    expect(await fileCount()).toBe(3);
  });

  test('a removed model leaves nothing', async () => {
    await load(rangedFetch());
    await removeModel(MODEL_URL, storage);
    expect(await listModels(storage)).toEqual([]);
    expect(await fileCount()).toBe(0);
  });

  test('what an interrupted deletion leaves, and manifests that are none, go with the next start; a model stays', async () => {
    await load(rangedFetch());
    for (const url of ['https://x.test/orphan', 'https://x.test/none']) await storage.writePart(url, 1, new Uint8Array(9));
    await storage.updateManifest('https://x.test/none', () => ({ url: 'https://x.test/none' }) as never);
    await storage.updateManifest('https://x.test/absent', () => undefined); // changes nothing
    expect(await storage.listUrls()).toHaveLength(2);
    await sweepModels(storage);
    expect(await storage.listUrls()).toEqual([MODEL_URL]);
    expect(await fileCount()).toBe(3);
    expect(await storage.listFolders()).toHaveLength(1);
  });

  test('a deletion while a part is written comes behind it, and leaves nothing of it', async () => {
    const part = new Uint8Array(8 * 1024 * 1024);
    const manifest = newManifest({ url: MODEL_URL, version: { size: 9, etag: undefined, lastModified: undefined }, partBytes: 9, lastUsed: 1 });
    const writing = lockUrl(storage, MODEL_URL, async () => {
      await storage.writePart(MODEL_URL, 0, part);
      await storage.updateManifest(MODEL_URL, () => manifest);
    });
    await Promise.all([writing, removeModel(MODEL_URL, storage), removeModel(MODEL_URL, opfsStorage() ?? storage)]);
    expect([await fileCount(), await storage.listUrls()]).toEqual([0, []]);
  });

  test('persistence is asked for, and told as the browser has it', async () => {
    expect(await persistModels()).toBe(await navigator.storage.persisted());
  });

  test('a SharedWorker stores what a page can read', async () => {
    const worker = new SharedWorker(new URL('./loader-opfs-worker.ts', import.meta.url), {
      type: 'module',
      name: crypto.randomUUID(),
    });
    const result = await new Promise((resolve, reject) => {
      worker.onerror = () => reject(new Error('the worker did not start'));
      worker.port.onmessage = ({ data }) => resolve(data);
    });
    expect(result).toEqual({ bytesRead: CONTENT_BYTES, bytesSent: 64 + CONTENT_BYTES, lines: [] });
    const server = rangedFetch();
    expect(await load(server)).toBe(-1);
    expect(server.bytesSent).toBe(0);
  });
});
