import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LoadProgress } from '../../../src/core/progress.ts';
import type { ByteSource } from '../../../src/core/byte-source.ts';
import { listModels } from '../../../src/storage/model-storage.ts';
import { openSource } from '../../../src/download/open-source.ts';
import type { OpenOptions } from '../../../src/download/open-source.ts';
import { FakeLocks } from '../../support/fake-locks.ts';
import { startFakeHub } from '../../support/fake-hub.ts';
import { startFileServer } from '../../support/file-server.ts';
import type { FileServer, ServedFile } from '../../support/file-server.ts';
import { acrossOrigins } from './across-origins.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import type { MemoryStorage } from '../storage/memory-storage.ts';
import { firstDifference, seededFile } from './seeded-bytes.ts';

const PART = 65_536;
const content = seededFile(5 * PART + 99);
const HOUR = 3_600_000;
let server: FileServer;
let file: ServedFile;
let storage: MemoryStorage;
let lines: string[];
let reports: LoadProgress[];

beforeEach(async () => {
  server = await startFileServer({ '/m.gguf': content });
  file = server.files.get('/m.gguf') as ServedFile;
  file.faults = { signature: 'first' };
  storage = memoryStorage();
  lines = [];
  reports = [];
});
afterEach(() => server.close());

/** A link of S3's, signed `hoursAgo` for an hour. */
function signed(signature: string, hoursAgo = 0, path = '/m.gguf?file=a'): string {
  const date = new Date(Date.now() - hoursAgo * HOUR).toISOString().replace(/[-:]|\.\d+/g, '');
  const query = { 'X-Amz-Date': date, 'X-Amz-Expires': '3600', 'X-Amz-Credential': 'AKIASECRET', 'X-Amz-Signature': signature };
  return `${server.origin}${path}&${new URLSearchParams(query)}`;
}

function open(source: string, options: Partial<OpenOptions> = {}): Promise<ByteSource> {
  return openSource(source, {
    baseUrl: 'https://page.example/',
    onProgress: (report) => reports.push(report),
    log: (_level, message) => lines.push(message),
    storage,
    partBytes: PART,
    // As S3 answers a page unless it is told otherwise: HEAD is refused, Content-Range and ETag are hidden.
    http: { fetch: acrossOrigins, retries: { attempts: 2, firstDelayMs: 0, maxDelayMs: 0, sleep: () => Promise.resolve() } },
    ...options,
  });
}

async function load(source: string, options?: Partial<OpenOptions>): Promise<Uint8Array> {
  const opened = await open(source, options);
  const all = new Uint8Array(opened.size);
  for (let at = 0; at < opened.size; at += PART) all.set(await opened.read(at, Math.min(PART, opened.size - at)), at);
  return all;
}
const bodies = (): string[] => server.log.flatMap(({ range, bytesSent }) => (bytesSent > 64 && range !== undefined ? [range] : []));
const name = (): string => `${server.origin}/m.gguf?file=a`;

test('a download goes on under a new signature, and a second visit downloads nothing', async () => {
  await (await open(signed('first'))).read(0, 2 * PART);
  const had = storage.parts.size;
  expect(had).toBeGreaterThanOrEqual(2);
  file.faults = { signature: 'second' };
  server.log.length = 0;
  expect(firstDifference(await load(signed('second')), content)).toBe(-1);
  expect(bodies()).toHaveLength(6 - had);
  expect(await listModels(storage)).toMatchObject([{ url: name(), name: name(), bytesCached: content.length }]);

  for (const link of [signed('second'), signed('first', 9), name()]) {
    server.log.length = 0;
    expect(firstDifference(await load(link), content)).toBe(-1);
    expect(bodies()).toEqual([]);
  }
  expect(storage.manifests.size).toBe(1);
});

test('what the query says beside the signature tells files apart', async () => {
  await load(signed('first'));
  await load(signed('first', 0, '/m.gguf?file=b'));
  expect((await listModels(storage)).map((model) => model.name).toSorted()).toEqual([name(), name().replace('=a', '=b')]);
  expect(server.log.filter(({ bytesSent }) => bytesSent > 64)).not.toHaveLength(6);
});

test('a new version is noticed under a new signature', async () => {
  await load(signed('first'), { http: {} });
  file.content = seededFile(content.length, 2);
  file.faults = { signature: 'second' };
  expect(firstDifference(await load(signed('second'), { http: {} }), file.content)).toBe(-1);
  expect(lines).toEqual([expect.stringMatching(/has changed on its server/)]);
});

describe('a link that expires in the middle of a download', () => {
  test.each<[string, number, number, RegExp]>([
    ['at a time that it tells', 403, 2, /HTTP 403.*link expired at \d{4}-\d\d-\d\dT.*signed anew.*download continues/],
    ['as Google tells it', 400, 2, /HTTP 400.*link expired at/],
    ['for a reason of the server’s own', 403, 0, /HTTP 403.*signature is not accepted.*signed anew/],
  ])('%s', async (_case, status, hoursAgo, message) => {
    const source = await open(signed('first', hoursAgo));
    await source.read(0, PART);
    file.faults = { status };
    const had = storage.parts.size;
    await expect(source.read(3 * PART, 10)).rejects.toMatchObject({ code: 'access_denied', message: expect.stringMatching(message) });
    expect(storage.parts.size).toBe(had);
    file.faults = { signature: 'second' };
    server.log.length = 0;
    expect(firstDifference(await load(signed('second')), content)).toBe(-1);
    expect(bodies()).toHaveLength(6 - had);
  });

  test('and whose server does not let the page read that', async () => {
    let isReadable = true;
    let asked = 0;
    const http: OpenOptions['http'] = {
      fetch: (input, init) => {
        asked++;
        return isReadable ? acrossOrigins(input, init) : Promise.reject(new TypeError('Failed to fetch'));
      },
      retries: { attempts: 9, firstDelayMs: 0, maxDelayMs: 0, sleep: () => Promise.resolve() },
    };
    const [expired, valid] = [await open(signed('first', 2), { http }), await open(signed('first', 0), { http, storage: null })];
    isReadable = false;
    asked = 0;
    await expect(expired.read(0, 10)).rejects.toMatchObject({ code: 'access_denied', message: expect.stringMatching(/expired at/) });
    expect(asked).toBe(1);
    await expect(valid.read(0, 10)).rejects.toMatchObject({ code: 'download_failed', message: expect.stringMatching(/CORS/) });
  });
});

test('no secret of a link is in a log, an error, a progress report, a manifest or the name of a lock', async () => {
  const locks = new FakeLocks();
  const names: string[] = [];
  const request = locks.locks.request.bind(locks.locks) as (...all: readonly unknown[]) => Promise<unknown>;
  vi.stubGlobal('navigator', {
    locks: {
      ...locks.locks,
      request: (lock: string, ...rest: readonly unknown[]) => {
        names.push(lock);
        return request(lock, ...rest);
      },
    },
  });
  try {
    const errors: unknown[] = [];
    const caught = (error: unknown): void => void errors.push(error, (error as Error).stack);
    const link = `${signed('s3cret')}&token=t0ken`;
    file.faults = { signature: 's3cret' };
    const source = await open(link);
    await source.read(0, PART);
    for (const fault of [
      { status: 403 }, { status: 404 }, { status: 418 }, { status: 500 }, { cutAfter: 0 }, { wrongRange: true },
      { status: 503, retryAfter: '3600' }, { noValidators: true, ignoreRange: true }, { contentType: 'text/html' },
    ]) {
      file.faults = fault;
      await source.read(4 * PART, 10).catch(caught);
      await load(link, { storage: null }).catch(caught);
    }
    file.content = new TextEncoder().encode('<html>');
    await load(link, { storage: null }).catch(caught);
    file.faults = { status: 403 };
    file.content = content;
    await load(link).catch(caught);
    file.faults = { signature: 's3cret' };
    await load(link);
    storage.parts.delete([...storage.parts.keys()][2] ?? '');
    storage.refuses = { write: true };
    await load(link);
    file.faults = { status: 403 };
    await load(link).catch(caught);
    await server.close();
    await load(link, { storage: null }).catch(caught);
    await load(`https:// ?X-Amz-Signature=s3cret`).catch(caught);
    expect(errors.length).toBeGreaterThan(24);
    expect(lines.length).toBeGreaterThan(6);
    expect(names.length).toBeGreaterThan(5);
    const told = [...errors.map(String), ...lines, ...names, JSON.stringify([...storage.manifests]), ...storage.parts.keys(), JSON.stringify(reports)];
    for (const secret of ['s3cret', 'AKIASECRET', 't0ken', 'X-Amz']) {
      expect(told.filter((text) => text.includes(secret))).toEqual([]);
    }
  } finally {
    vi.unstubAllGlobals();
    server = await startFileServer();
  }
});

describe('a cacheKey', () => {
  test('names the file, wherever it is fetched from', async () => {
    server.files.set('/mirror/other.gguf', { content, faults: {} });
    expect(firstDifference(await load(signed('first'), { cacheKey: 'my model' }), content)).toBe(-1);
    server.log.length = 0;
    const source = await open(`${server.origin}/mirror/other.gguf`, { cacheKey: 'my model' });
    expect(source.id).toBe('key:my model');
    expect(firstDifference(await source.read(0, content.length), content)).toBe(-1);
    expect(bodies()).toEqual([]);
    expect(await listModels(storage)).toMatchObject([{ url: 'key:my model', name: 'key:my model', cacheKey: 'my model' }]);
  });

  test('does not hide a new version, nor mix two', async () => {
    const plain = { cacheKey: 'k', http: {} };
    await load(signed('first'), plain);
    const newer = seededFile(content.length, 2);
    server.files.set('/v2.gguf', { content: newer, faults: {} });
    expect(firstDifference(await load(`${server.origin}/v2.gguf`, plain), newer)).toBe(-1);
    expect(await listModels(storage)).toMatchObject([{ name: 'key:k', bytesCached: content.length }]);
    expect(firstDifference(await load(`${server.origin}/v2.gguf`, { ...plain, cacheKey: 'other' }), newer)).toBe(-1);
    expect(await listModels(storage)).toHaveLength(2);
  });

  test('of a hub’s file: the same on a mirror, checked by its hash, and mended', async () => {
    const [hub, mirror] = [await startFakeHub(), await startFakeHub()];
    const commits = ['a', 'b'].map((digit) => digit.repeat(40));
    for (const [index, each] of [hub, mirror].entries()) {
      const commit = commits[index] ?? '';
      each.repos.set('o/r', { revisions: { main: commit }, commits: { [commit]: { 'm.gguf': { content, lastCommit: commit } } } });
    }
    try {
      await load('hf:o/r/m.gguf', { cacheKey: 'k', hub: { endpoint: hub.server.origin } });
      storage.parts.delete('key:k#3');
      const pinned = { cacheKey: 'k', hub: { endpoint: mirror.server.origin } };
      expect(firstDifference(await load(`hf:o/r/m.gguf@${commits[1]}`, pinned), content)).toBe(-1);
      expect(mirror.cdn.log.filter(({ bytesSent }) => bytesSent > 64)).toHaveLength(1);
      expect(await listModels(storage)).toMatchObject([{ url: 'key:k', cacheKey: 'k' }]);
    } finally {
      await Promise.all([hub.close(), mirror.close()]);
    }
  });
});
