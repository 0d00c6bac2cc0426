import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ByteSource } from '../../../src/core/byte-source.ts';
import { openCachedSource } from '../../../src/download/cached-source.ts';
import type { CacheOptions } from '../../../src/download/cached-source.ts';
import { askVersion } from '../../../src/download/ask-version.ts';
import { httpContext } from '../../../src/download/http-request.ts';
import { openHttp } from '../../../src/download/http-source.ts';
import type { OneAtATime } from '../../../src/download/one-at-a-time.ts';
import { listModels, removeModel } from '../../../src/storage/model-storage.ts';
import { startFileServer } from '../../support/file-server.ts';
import type { FileServer, ServedFile } from '../../support/file-server.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import type { MemoryStorage } from '../storage/memory-storage.ts';
import { firstDifference, seededBytes } from './seeded-bytes.ts';

const PART = 65_536;
/** Ten parts, the last one short. */
const SIZE = 9 * PART + 1234;
const content = seededBytes(SIZE);
let server: FileServer;
let file: ServedFile;
let url: string;
let storage: MemoryStorage;
let lines: string[];
let clock: number;

beforeEach(async () => {
  server = await startFileServer({ '/m.gguf': content });
  file = server.files.get('/m.gguf') as ServedFile;
  url = `${server.origin}/m.gguf`;
  storage = memoryStorage();
  lines = [];
  clock = 1_000_000;
});
afterEach(() => server.close());

function open(options: Partial<CacheOptions> = {}): Promise<ByteSource> {
  const retries = { attempts: 2, firstDelayMs: 0, maxDelayMs: 0, sleep: () => Promise.resolve() };
  const context = httpContext({ retries, log: (line) => lines.push(line) });
  return openCachedSource({
    name: url,
    storage,
    openRemote: () => openHttp(url, context),
    checkVersion: () => askVersion(url, context),
    isPinned: false,
    log: (line) => lines.push(line),
    now: () => clock,
    partBytes: PART,
    ...options,
  });
}

async function readAll(source: ByteSource, step = 50_000): Promise<Uint8Array> {
  const all = new Uint8Array(source.size);
  for (let at = 0; at < source.size; at += step) {
    all.set(await source.read(at, Math.min(step, source.size - at)), at);
  }
  return all;
}
/** The ranges asked for, sorted: several are on their way at once. */
const gets = (): string[] => server.log.flatMap((e) => (e.method === 'GET' ? [e.range ?? 'whole'] : [])).toSorted();
const sorted = (...ranges: string[]): string[] => ranges.toSorted();
const rangeOfPart = (index: number): string =>
  `bytes=${index * PART}-${Math.min((index + 1) * PART, SIZE) - 1}`;
const partNumbers = Array.from({ length: 10 }, (_, index) => index);
const fails = (code: string, message: RegExp): unknown =>
  expect.objectContaining({ name: 'TabserveError', code, message: expect.stringMatching(message) });

describe('a first visit', () => {
  test('fetches each part once, whatever is read, and keeps it', async () => {
    const source = await open();
    expect(source).toMatchObject({ id: url, size: SIZE });
    expect(firstDifference(await readAll(source, 7777), content)).toBe(-1);
    expect(gets()).toEqual(sorted('bytes=0-63', ...partNumbers.map(rangeOfPart)));
    expect(storage.parts.size).toBe(10);
    expect(lines).toEqual([]);
  });

  test('reads across parts, at ends, and nothing', async () => {
    const source = await open();
    for (const [offset, length] of [[PART - 1, 2], [0, SIZE], [SIZE - 1, 1], [3 * PART, PART], [10, 5 * PART], [SIZE, 0]] as const) {
      expect(firstDifference(await source.read(offset, length), content.slice(offset, offset + length))).toBe(-1);
    }
    await expect(source.read(SIZE, 1)).rejects.toEqual(fails('internal', /outside/));
  });

  test('fetches ahead of a reader that goes forward, and only then', async () => {
    const source = await open();
    await source.read(5 * PART, 10);
    await settled();
    expect(gets()).toEqual(sorted('bytes=0-63', rangeOfPart(5)));
    await source.read(6 * PART, 10);
    await settled();
    expect(gets()).toEqual(sorted('bytes=0-63', ...[5, 6, 7].map(rangeOfPart)));
  });

  test('holds a few parts in memory, not the file', async () => {
    const source = await open();
    await readAll(source);
    storage.partsRead = 0;
    await source.read(SIZE - 1, 1);
    expect(storage.partsRead).toBe(0);
    for (const index of [5, 4, 3, 2, 1, 0]) await source.read(index * PART, 1);
    expect(storage.partsRead).toBe(6);
    expect(gets()).toHaveLength(11);
  });
});

describe('a later visit', () => {
  test('downloads nothing', async () => {
    await readAll(await open());
    server.log.length = 0;
    clock += 5000;
    expect(firstDifference(await readAll(await open()), content)).toBe(-1);
    expect(server.log).toMatchObject([{ method: 'HEAD', bytesSent: 0 }]);
    expect(storage.manifests.get(url)?.lastUsed).toBe(clock);
  });

  test('does not even ask where the URL is pinned', async () => {
    await readAll(await open());
    server.log.length = 0;
    expect(firstDifference(await readAll(await open({ isPinned: true })), content)).toBe(-1);
    expect(server.log).toEqual([]);
  });

  test('works without the server', async () => {
    await readAll(await open());
    await server.close();
    expect(firstDifference(await readAll(await open()), content)).toBe(-1);
    expect(lines).toEqual([expect.stringMatching(/Could not check/)]);
    server = await startFileServer();
  });

  test('goes on where the last one was interrupted', async () => {
    const source = await open();
    await source.read(0, 4 * PART);
    await settled();
    const kept = storage.parts.size;
    expect(kept).toBeGreaterThanOrEqual(4);
    expect(kept).toBeLessThan(8);
    server.log.length = 0;
    expect(firstDifference(await readAll(await open()), content)).toBe(-1);
    expect(gets()).toEqual(sorted('bytes=0-63', ...partNumbers.slice(kept).map(rangeOfPart)));
  });

  test('goes on after the network gave up', async () => {
    const source = await open();
    await source.read(0, 2 * PART);
    await settled();
    file.faults = { cutAfter: 0 };
    await expect(readAll(source)).rejects.toEqual(fails('download_failed', /2 tries/));
    file.faults = {};
    const at = storage.parts.size * PART;
    expect(firstDifference(await source.read(at, PART), content.slice(at, at + PART))).toBe(-1);
    expect(firstDifference(await readAll(source), content)).toBe(-1);
  });

  test('drops the parts of another version', async () => {
    await readAll(await open());
    file.content = seededBytes(SIZE - PART, 2);
    const source = await open();
    expect(source.size).toBe(SIZE - PART);
    expect(firstDifference(await readAll(source), file.content)).toBe(-1);
    expect(storage.parts.size).toBe(9);
    expect(lines).toEqual([expect.stringMatching(/has changed/)]);
  });

  test('drops the parts of an unfinished download of another version', async () => {
    await (await open()).read(0, 3 * PART);
    await settled();
    file.content = seededBytes(SIZE, 2);
    expect(firstDifference(await readAll(await open()), file.content)).toBe(-1);
  });

  test('a manifest of another make is ignored', async () => {
    await readAll(await open());
    expect(firstDifference(await readAll(await open({ partBytes: 2 * PART })), content)).toBe(-1);
    expect(storage.manifests.get(url)?.partBytes).toBe(2 * PART);
  });
});

describe('a part that storage lost', () => {
  const spoil: [string, () => void][] = [
    ['damaged', () => storage.parts.get(`${url}#3`)?.fill(0, 17, 18)],
    ['cut short', () => void storage.parts.set(`${url}#3`, content.slice(3 * PART, 4 * PART - 1))],
    ['missing', () => void storage.parts.delete(`${url}#3`)],
  ];
  test.each(spoil)('(%s) is fetched again, and it alone', async (problem, spoilPart) => {
    await readAll(await open());
    spoilPart();
    server.log.length = 0;
    expect(firstDifference(await readAll(await open({ isPinned: true })), content)).toBe(-1);
    expect(gets()).toEqual(sorted('bytes=0-63', rangeOfPart(3)));
    expect(lines).toEqual([expect.stringMatching(new RegExp(`Part 3 .* ${problem}`))]);
    server.log.length = 0;
    await readAll(await open({ isPinned: true }));
    expect(server.log).toEqual([]);
  });

  test('is not mixed with another version of the file', async () => {
    await readAll(await open());
    storage.parts.delete(`${url}#3`);
    file.content = seededBytes(SIZE, 2);
    const source = await open({ isPinned: true });
    await expect(readAll(source)).rejects.toEqual(fails('download_failed', /has changed/));
    expect(firstDifference(await readAll(await open({ isPinned: true })), file.content)).toBe(-1);
  });
});

describe('storage that refuses', () => {
  test('to be read: the file is read all the same', async () => {
    storage.refuses = { read: true, write: true };
    expect(firstDifference(await readAll(await open()), content)).toBe(-1);
    expect(lines).toEqual([expect.stringMatching(/cannot be used.*Quota/)]);
  });

  test('to be written from the start: said once, and the file is read', async () => {
    storage.refuses = { write: true };
    expect(firstDifference(await readAll(await open()), content)).toBe(-1);
    expect(lines).toEqual([expect.stringMatching(/refused part [01] .*Free some space/)]); // two are on their way
  });

  test('halfway: what is there stays of use', async () => {
    storage.refuses = { writeAfter: 4 };
    expect(firstDifference(await readAll(await open()), content)).toBe(-1);
    storage.refuses = {};
    server.log.length = 0;
    await readAll(await open());
    expect(gets()).toHaveLength(1 + 6);
  });

  test('to give back what it has: fetched again', async () => {
    await readAll(await open());
    const source = await open();
    storage.refuses = { read: true };
    expect(firstDifference(await readAll(source), content)).toBe(-1);
  });

  test('does not exist', async () => {
    expect(firstDifference(await readAll(await open({ storage: undefined })), content)).toBe(-1);
    expect(gets()).toEqual(sorted('bytes=0-63', ...partNumbers.map(rangeOfPart)));
  });
});

describe('a server without ranges', () => {
  beforeEach(() => {
    file.faults = { ignoreRange: true };
  });

  test('sends the file once, into the cache', async () => {
    const source = await open();
    server.log.length = 0;
    expect(firstDifference(await source.read(7 * PART, PART), content.slice(7 * PART, 8 * PART))).toBe(-1);
    expect(firstDifference(await readAll(source), content)).toBe(-1);
    expect(server.log).toMatchObject([{ status: 200, bytesSent: SIZE }]);
    server.log.length = 0;
    expect(firstDifference(await readAll(await open()), content)).toBe(-1);
    expect(server.bytesSent()).toBe(0);
  });

  test('a damaged part is fetched again', async () => {
    await readAll(await open());
    storage.parts.delete(`${url}#6`);
    expect(firstDifference(await readAll(await open()), content)).toBe(-1);
    expect(storage.parts.size).toBe(10);
  });

  test('a part that is asked for as the stream ends is streamed again', async () => {
    let isStreamed = false;
    let letGo = (): void => {};
    const oneAtATime: OneAtATime = async (_name, run) => {
      const result = await run();
      isStreamed = true;
      await new Promise<void>((resolve) => (letGo = resolve)); // the lock is not released at once
      return result;
    };
    const source = await open({ oneAtATime });
    await source.read(0, PART);
    while (!isStreamed) await new Promise((resolve) => setImmediate(resolve));
    storage.parts.delete(`${url}#6`);
    let read: Uint8Array | undefined;
    void source.read(6 * PART, PART).then((bytes) => (read = bytes));
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    for (letGo(); read === undefined; letGo()) await new Promise((resolve) => setImmediate(resolve));
    expect(firstDifference(read, content.slice(6 * PART, 7 * PART))).toBe(-1);
    expect(server.log.filter(({ status, method }) => status === 200 && method === 'GET')).toHaveLength(3);
  });

  test('needs storage, and says so', async () => {
    await expect(open({ storage: undefined })).rejects.toEqual(fails('storage_failed', /no ranges/));
    storage.refuses = { writeAfter: 4 };
    const source = await open();
    await expect(readAll(source)).rejects.toEqual(fails('storage_failed', /no ranges/));
  });

  test('a fault reaches the reader, and the next read begins anew', async () => {
    const source = await open();
    file.faults = { ignoreRange: true, cutAfter: 3 * PART };
    await expect(readAll(source)).rejects.toEqual(fails('download_failed', /2 tries/));
    file.faults = { ignoreRange: true };
    expect(firstDifference(await readAll(source), content)).toBe(-1);
  });
});

test('stored models are listed, the last used first, and removed', async () => {
  await (await open()).read(0, PART);
  await settled();
  server.files.set('/other.gguf', { content, faults: {} });
  const first = url;
  url = `${server.origin}/other.gguf`;
  clock += 1000;
  await readAll(await open());
  expect(await listModels(storage)).toEqual([
    { url, name: url, size: SIZE, bytesCached: SIZE, lastUsed: clock },
    { url: first, name: first, size: SIZE, bytesCached: PART, lastUsed: clock - 1000 },
  ]);
  await removeModel(url, storage);
  expect((await listModels(storage)).map((model) => model.url)).toEqual([first]);
  expect(storage.parts.size).toBe(1);
});

/** Waits until the parts being fetched ahead are stored: the request log and the storage stand still. */
async function settled(): Promise<void> {
  for (let last = '', quiet = 0; quiet < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const now = `${server.log.length} ${server.bytesSent()} ${storage.parts.size}`;
    quiet = now === last ? quiet + 1 : 0;
    last = now;
  }
}
