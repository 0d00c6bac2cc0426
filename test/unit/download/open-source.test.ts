import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LoadProgress } from '../../../src/core/progress.ts';
import type { ModelSource } from '../../../src/core/protocol.ts';
import type { ByteSource } from '../../../src/core/byte-source.ts';
import { openSource } from '../../../src/download/open-source.ts';
import type { OpenOptions } from '../../../src/download/open-source.ts';
import { startFileServer } from '../../support/file-server.ts';
import type { FileServer } from '../../support/file-server.ts';
import { tinyModel } from '../../support/tiny-model.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import type { MemoryStorage } from '../storage/memory-storage.ts';
import { firstDifference, seededFile } from './seeded-bytes.ts';

const MIB = 1024 * 1024;
/** Three parts of 8 MiB, the last one short: the size that ships. */
const content = seededFile(19 * MIB + 7);
let server: FileServer;
let storage: MemoryStorage;
let reports: LoadProgress[];
let lines: string[];

beforeEach(async () => {
  server = await startFileServer({ '/m.gguf': content, '/tiny.gguf': tinyModel({ type: 'mixed' }) });
  storage = memoryStorage();
  reports = [];
  lines = [];
});
afterEach(() => server.close());

function open(source: ModelSource, options: Partial<OpenOptions> = {}): Promise<ByteSource> {
  return openSource(source, {
    baseUrl: `${server.origin}/app/`,
    onProgress: (report) => reports.push(report),
    log: (level, message) => lines.push(`${level}: ${message}`),
    storage,
    ...options,
  });
}

async function readAll(source: ByteSource): Promise<Uint8Array> {
  const all = new Uint8Array(source.size);
  for (let at = 0; at < source.size; at += MIB) {
    all.set(await source.read(at, Math.min(MIB, source.size - at)), at);
  }
  return all;
}
const stages = (): string[] => [...new Set(reports.map((report) => report.stage))];

test('a path of this site: downloaded, then loaded from storage', async () => {
  expect(firstDifference(await readAll(await open('/m.gguf')), content)).toBe(-1);
  expect(stages()).toEqual(['open', 'download']);
  expect(reports.at(-1)).toMatchObject({ bytesDone: content.length, bytesTotal: content.length, secondsLeft: 0 });
  expect([0, 1, 2].map((index) => storage.parts.get(`${server.origin}/m.gguf#${index}`)?.length)).toEqual(
    [8 * MIB, 8 * MIB, 3 * MIB + 7],
  );

  reports = [];
  server.log.length = 0;
  expect(firstDifference(await readAll(await open(`${server.origin}/m.gguf`)), content)).toBe(-1);
  expect(server.bytesSent()).toBe(0);
  expect(stages()).toEqual(['open', 'load']);
  expect(reports.at(-1)).toMatchObject({ bytesDone: content.length, bytesTotal: content.length, secondsLeft: 0 });
  expect(lines).toEqual([]);
});

test('progress never goes back and never passes the end', async () => {
  await readAll(await open('/m.gguf'));
  for (const [index, report] of reports.entries()) {
    expect(report.bytesDone).toBeGreaterThanOrEqual(reports[index - 1]?.bytesDone ?? 0);
    expect(report.bytesDone).toBeLessThanOrEqual(content.length);
  }
});

test('a file of the user', async () => {
  const source = await open(new File([content], 'mine.gguf'));
  expect(source).toMatchObject({ id: 'mine.gguf', size: content.length });
  expect(firstDifference(await readAll(source), content)).toBe(-1);
  expect(stages()).toEqual(['open', 'load']);
  expect(reports.at(-1)).toMatchObject({ bytesDone: content.length, bytesTotal: content.length });
  expect(server.log).toEqual([]);
});

test('what is no model is refused before anything is kept', async () => {
  const page = new TextEncoder().encode('<!doctype html><title>Sign in</title>');
  server.files.set('/page.gguf', { content: page, faults: {} });
  server.files.set('/other.gguf', { content: content.subarray(4), faults: {} });
  await expect(open('/page.gguf')).rejects.toMatchObject({ code: 'model_not_found', message: expect.stringMatching(/web page/) });
  await expect(open('/other.gguf')).rejects.toMatchObject({ code: 'unsupported_model' });
  expect(storage.parts.size + storage.manifests.size).toBe(0);
});

test('nothing there', async () => {
  await expect(open('/missing.gguf')).rejects.toEqual(expect.objectContaining({ code: 'model_not_found' }));
  await expect(open('hf:nonsense')).rejects.toEqual(expect.objectContaining({ code: 'invalid_request' }));
});

test('the caller can end it', async () => {
  const controller = new AbortController();
  const source = await open('/m.gguf', { signal: controller.signal });
  controller.abort();
  await expect(readAll(source)).rejects.toEqual(expect.objectContaining({ code: 'aborted' }));
});

test('without storage', async () => {
  expect(firstDifference(await readAll(await open('/m.gguf', { storage: null })), content)).toBe(-1);
  expect(storage.parts.size).toBe(0);
});
