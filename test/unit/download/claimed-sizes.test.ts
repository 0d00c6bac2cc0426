import { expect, test, vi } from 'vitest';
import type { ModelSource } from '../../../src/core/protocol.ts';
import { newManifest, PART_BYTES } from '../../../src/storage/cache-manifest.ts';
import { MAX_FILE_BYTES } from '../../../src/core/file-size.ts';
import { readModelFile } from '../../../src/formats/gguf.ts';
import { listModels } from '../../../src/storage/model-storage.ts';
import { type OpenOptions, openSource } from '../../../src/download/open-source.ts';
import { tinyModel } from '../../support/tiny-model.ts';
import { memoryStorage } from '../storage/memory-storage.ts';

// What a server, a hub, a `File` or the storage says of a size is a claim, and costs nothing before it is believed.

const GIB = 2 ** 30;
const URL_OF_IT = 'https://models.test/m.gguf';
const start = tinyModel({ type: 'Q8_0' });
const HUGE = [String(10 ** 15), String(2 * 10 ** 15), '9'.repeat(400), String(MAX_FILE_BYTES + 1)];

/** Serves the start of a model, and zeros behind it, with what it is told to say of its size. */
function serverSaying(tell: (method: string, range: string) => ResponseInit & { headers: Record<string, string> }): typeof fetch {
  return async (_input, { method = 'GET', headers } = {}) => {
    const [, from = '0', to = '0'] = /^bytes=(\d+)-(\d*)$/.exec(new Headers(headers).get('range') ?? '') ?? [];
    const bytes = new Uint8Array(Math.min(Number(to) - Number(from) + 1, PART_BYTES));
    bytes.set(start.subarray(Number(from), Number(from) + bytes.length));
    return new Response(method === 'HEAD' ? null : bytes, tell(method, `${from}-${to}`));
  };
}
const ranged = (size: string) => serverSaying((_method, range) => ({ status: 206, headers: { 'content-range': `bytes ${range}/${size}` } }));
const whole = (size: string) => serverSaying(() => ({ status: 200, headers: { 'content-length': size } }));
const byHead = (size: string) => serverSaying((method) => (method === 'HEAD' ? { status: 200, headers: { 'content-length': size } } : { status: 206, headers: {} }));
const hub = (size: string): typeof fetch => async () => {
  const lfs = `{"oid":"${'a'.repeat(64)}","size":${size},"pointerSize":134}`;
  return new Response(`[{"type":"file","path":"m.gguf","oid":"${'0'.repeat(40)}","size":1,"lfs":${lfs},"lastCommit":{"id":"${'b'.repeat(40)}"}}]`);
};

function open(source: ModelSource, fetch: typeof globalThis.fetch, options: Partial<OpenOptions> = {}) {
  const retries = { attempts: 1, firstDelayMs: 0, maxDelayMs: 0, sleep: () => Promise.resolve() };
  const shared = { baseUrl: 'https://page.test/', onProgress: () => {}, log: () => {}, storage: memoryStorage() };
  return openSource(source, { ...shared, http: { fetch, retries }, ...options });
}
const tooLarge = (message: RegExp, budgetBytes: number): unknown =>
  expect.objectContaining({ code: 'out_of_memory', message: expect.stringMatching(message), details: expect.objectContaining({ budgetBytes }) });

test.each([['Content-Range', ranged], ['Content-Length', whole], ['Content-Length of a HEAD', byHead]])('%s beyond what any browser holds is refused as it enters', async (_what, server) => {
  for (const size of HUGE) {
    const storage = memoryStorage();
    const refusal = tooLarge(/m\.gguf is said to have .* bytes, and the most .* is 1099511627776 .* Check the address/, MAX_FILE_BYTES);
    await expect(open(URL_OF_IT, server(size), { storage })).rejects.toEqual(refusal);
    expect(storage.manifests.size + storage.parts.size).toBe(0);
  }
});

test('so is what a hub says, and a size that is none is no hub’s', async () => {
  for (const size of HUGE) await expect(open('hf:o/r/m.gguf', hub(size))).rejects.toEqual(tooLarge(/r\/m\.gguf is said to have/, MAX_FILE_BYTES));
  for (const size of ['-1', '1.5', '"5"']) {
    await expect(open('hf:o/r/m.gguf', hub(size))).rejects.toMatchObject({ code: 'download_failed', message: expect.stringContaining('not what a hub does') });
  }
});

test('where gpuMemoryBytes says what could fit, that is the bound: of servers, of files, of what is stored', async () => {
  const refusal = tooLarge(/said to have 3221225472 bytes, and no file of over 2281701376 bytes fits into the 1073741824 .* raise gpuMemoryBytes/, GIB);
  const options = { gpuMemoryBytes: GIB, storage: memoryStorage() };
  await expect(open(URL_OF_IT, ranged(String(3 * GIB)), options)).rejects.toEqual(refusal);
  const file = Object.defineProperty(new File([start], 'm.gguf'), 'size', { value: 3 * GIB });
  await expect(open(file, fetch, options)).rejects.toEqual(refusal);
  const version = { size: 3 * GIB, etag: undefined, lastModified: undefined };
  const manifest = newManifest({ url: URL_OF_IT, version, partBytes: PART_BYTES, lastUsed: 1 });
  options.storage.manifests.set(URL_OF_IT, { ...manifest, parts: manifest.parts.map(() => 'a'.repeat(64)) });
  await expect(open(URL_OF_IT, ranged(String(3 * GIB)), options)).rejects.toEqual(refusal);
  expect(await listModels(options.storage)).toHaveLength(1); // another tab may have more room for it
  expect(await open(URL_OF_IT, ranged(String(3 * GIB)), { ...options, gpuMemoryBytes: 2 * GIB })).toMatchObject({ size: 3 * GIB });
});

test('the largest size that is taken makes nothing in its proportion before the header has been read', async () => {
  const lengths: number[] = [];
  const fill = Array.prototype.fill;
  vi.spyOn(Array.prototype, 'fill').mockImplementation(function (this: unknown[], ...args) {
    lengths.push(this.length);
    return fill.apply(this, args as [unknown]) as unknown[];
  });
  const storage = { ...memoryStorage(), updateManifest: async () => {} };
  const source = await open(URL_OF_IT, ranged(String(MAX_FILE_BYTES)), { storage });
  const file = await readModelFile(source).finally(() => vi.restoreAllMocks());
  expect(Math.max(0, ...lengths)).toBeLessThan(1000);
  expect(source.size).toBe(MAX_FILE_BYTES);
  expect(file.tensors.length).toBeGreaterThan(0);
});

test('manifests that are too large, or contradict themselves, are not believed', async () => {
  const version = { size: 2 * PART_BYTES, etag: undefined, lastModified: undefined };
  const sound = newManifest({ url: URL_OF_IT, version, partBytes: PART_BYTES, lastUsed: 1 });
  const hash = 'a'.repeat(64);
  const unsound = {
    'too large': { ...sound, version: { ...version, size: 2 * MAX_FILE_BYTES }, partBytes: MAX_FILE_BYTES },
    'too many parts': { ...sound, version: { ...version, size: 200_000 }, partBytes: 1, parts: Array<null>(200_000).fill(null) },
    'too few parts': { ...sound, parts: [hash] },
    'verified without being whole': { ...sound, parts: [hash, null], isVerified: true },
    'a name that is none': { ...sound, name: 5 },
    'no version': { ...sound, version: null },
    'an ETag that is none': { ...sound, version: { ...version, etag: {} } },
  };
  for (const [what, manifest] of Object.entries(unsound)) {
    const storage = memoryStorage();
    storage.manifests.set(URL_OF_IT, manifest as never);
    expect(await listModels(storage), what).toEqual([]);
    const source = await open(URL_OF_IT, ranged(String(2 * PART_BYTES)), { storage });
    expect(source.size, what).toBe(2 * PART_BYTES);
    await source.read(0, 64);
    expect((await listModels(storage)).map(({ bytesCached }) => bytesCached), what).toEqual([PART_BYTES]);
  }
});
