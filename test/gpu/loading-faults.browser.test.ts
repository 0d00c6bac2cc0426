import { createStore, set } from 'idb-keyval';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cdp } from 'vitest/browser';
import { deleteModel, listModels } from '../../src/cache.ts';
import { fileFingerprint } from '../../src/client/file-fingerprint.ts';
import { openSource } from '../../src/download/open-source.ts';
import loadingPage from '../../docs/loading.md?raw';
import { plantFault, UNSCALED_SPLITS } from '../support/planted-fault.ts';
import { createRandom } from '../support/random.ts';
import {
  command, commitUrl, failure, FIRST, kept, load, loadOntoGpu, loadSome, misbehave, NAME, PART, partsAsked, publish, SECOND, serve,
  servers, signed, spoil, startWorker, URL_OF_MODEL,
} from './loading-lab.ts';

const WHOLE = { [URL_OF_MODEL]: 6 };
const ALL_PARTS = [0, 1, 2, 3, 4, 5];
const REMOTE = '`download_failed`';
const fails = (code: string, message: RegExp): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });
const says = (message: RegExp): unknown => expect.arrayContaining([expect.stringMatching(message)]);

beforeEach(async () => {
  await command({ do: 'reset' });
  for (const { url } of await listModels()) await deleteModel(url);
});
afterEach(() => setQuota(undefined));

async function setQuota(quotaSize: number | undefined): Promise<void> {
  const session = cdp() as unknown as { send(method: string, params: object): Promise<unknown> };
  const { origin } = location;
  await session.send('Storage.overrideQuotaForOrigin', quotaSize === undefined ? { origin } : { origin, quotaSize });
}

/** A fault, what its user sees, what was kept, and the proof. The first three are its row in docs/loading.md. */
type Row = readonly [fault: string, sees: string, kept: string, proof: () => Promise<void>];

const CONNECTION: readonly Row[] = [
  ['connection cut at any byte', 'nothing: it goes on at the byte where it broke', 'every byte that came', async () => {
    const random = createRandom(7);
    // Five answers are cut for each that comes whole. The third is: the first request gives up after three tries, and a
    // browser may drop all bytes of an answer that is cut.
    await serve({ cuts: Array.from({ length: 60 }, (_, index) => (index % 6 === 2 ? null : random.uint32())) });
    expect((await load(URL_OF_MODEL, { attempts: 60 })).waits.length).toBeGreaterThan(20);
    expect(await kept()).toEqual(WHOLE);
  }],
  ['connection that brings nothing, again and again', `${REMOTE} after 6 tries, each later than the one before`, 'the parts that came', async () => {
    await serve();
    await loadSome(2);
    await misbehave({ cutAfter: 64 });
    expect(await failure(URL_OF_MODEL)).toEqual(fails('download_failed', /Gave up after 3 tries; try again later/));
    expect(await kept()).toEqual({ [URL_OF_MODEL]: 3 });
    await misbehave({});
    await load(URL_OF_MODEL);
    expect(await kept()).toEqual(WHOLE);
  }],
  ['slow server', 'nothing but the time it takes', 'all', async () => {
    await serve({ pauseMs: 20 });
    expect(await load(URL_OF_MODEL)).toEqual({ lines: [], waits: [] });
  }],
  ['server that stalls', 'nothing: after 30 s of silence it is asked again, from where it stopped', 'every byte that came', async () => {
    await serve({ stallAfter: 1000, stallCount: 2 });
    expect((await load(URL_OF_MODEL, { idleTimeoutMs: 500 })).lines).toEqual(says(/sent nothing for 500 ms/));
    expect(await kept()).toEqual(WHOLE);
  }],
  ['server that stalls for good', `${REMOTE} after 6 tries`, 'the parts that came', async () => {
    await serve();
    await loadSome(2);
    await misbehave({ stallAfter: 64 });
    expect(await failure(URL_OF_MODEL, { idleTimeoutMs: 500 })).toEqual(fails('download_failed', /sent nothing.*3 tries/));
    expect(await kept()).toEqual({ [URL_OF_MODEL]: 3 });
  }],
  ['server that cannot be reached', `${REMOTE}: the network, or CORS; that the device is offline, where it is`, 'all there was', async () => {
    expect(await failure('http://127.0.0.1:65531/m.gguf')).toEqual(fails('download_failed', /network failed/));
  }],
];

const ANSWERS: readonly Row[] = [
  ['404', '`model_not_found`, also in the middle of a download', 'the parts that came', async () => {
    await serve();
    await loadSome(2);
    await command({ do: 'remove', at: 'hub', path: '/m.gguf' });
    expect(await failure(URL_OF_MODEL)).toEqual(fails('model_not_found', /HTTP 404.*check the name/));
    expect(await kept()).toEqual({ [URL_OF_MODEL]: 3 });
  }],
  ['401, 403 (private, gated)', '`access_denied`: accept the terms and give a token, or download the file and open it', 'all there was', async () => {
    await serve({ status: 401 });
    expect(await failure(URL_OF_MODEL)).toEqual(fails('access_denied', /HTTP 401.*accept the model's terms.*hub.token/));
    await publish(FIRST, 1, { token: 'hf_right' });
    expect(await failure(NAME, { hub: { token: 'hf_wrong' } })).toEqual(fails('access_denied', /403.*token may not read it/));
  }],
  ['429, 503 with Retry-After in seconds', 'nothing: it is asked again when it wants', 'all', async () => {
    await serve({ status: 429, statusCount: 2, retryAfter: '7' });
    expect((await load(URL_OF_MODEL)).waits).toEqual([7000, 7000]);
  }],
  ['429, 503 with Retry-After as a date', 'nothing: it is asked again when it wants', 'all', async () => {
    await serve({ status: 503, statusCount: 1, retryAfter: new Date(Date.now() + 40_000).toUTCString() });
    const { waits } = await load(URL_OF_MODEL);
    expect(waits).toHaveLength(1);
    expect(waits[0]).toBeGreaterThan(1000);
    expect(waits[0]).toBeLessThanOrEqual(40_000);
  }],
  ['Retry-After of over a minute', `${REMOTE} at once, with \`details.retryAfterMs\``, 'the parts that came', async () => {
    await serve({ status: 503, retryAfter: '3600' });
    const error = await failure(URL_OF_MODEL);
    expect(error).toEqual(fails('download_failed', /asks clients to wait 3600 s/));
    expect(error).toMatchObject({ details: { retryAfterMs: 3_600_000 } });
  }],
  ['server without ranges', 'nothing: the file is streamed once, into the storage', 'all', async () => {
    await serve({ ignoreRange: true });
    await load(URL_OF_MODEL);
    expect(await kept()).toEqual(WHOLE);
  }],
  ['Content-Length too large or too small', 'nothing: what is missing is asked for', 'all', async () => {
    for (const contentLengthOff of [100, -100]) {
      await serve({ contentLengthOff });
      await load(URL_OF_MODEL);
      expect(await kept()).toEqual(WHOLE);
      await deleteModel(URL_OF_MODEL);
    }
  }],
  ['Content-Length too large, without ranges', `${REMOTE}: it ended too soon`, 'the parts that came', async () => {
    // A connection that breaks takes along what nobody has read of it yet: the parts come one by one.
    await serve({ ignoreRange: true, contentLengthOff: 100, pauseMs: 50 });
    expect(await failure(URL_OF_MODEL)).toEqual(fails('download_failed', /Gave up after 3 tries/));
    expect(await kept()).toEqual({ [URL_OF_MODEL]: 5 });
  }],
  ['redirect to another origin', 'nothing; a token is not sent on', 'all', async () => {
    await publish(FIRST, 1, { token: 'hf_right' });
    await load(NAME, { hub: { token: 'hf_right' } });
    const { cdn, questions } = await command({ do: 'log' });
    expect(questions.every((question) => question.endsWith('with a token'))).toBe(true);
    expect(cdn.length).toBeGreaterThan(6);
    expect(cdn.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
    expect(await kept()).toEqual({ [commitUrl(FIRST)]: 6 });
  }],
  ['size hidden from the page (CORS), and HEAD refused', 'nothing: the headers of a GET tell it', 'all', async () => {
    await serve({ hideHeaders: true, headStatus: 403 });
    expect(await load(URL_OF_MODEL)).toEqual({ lines: [], waits: [] });
    const { hub } = await command({ do: 'log' });
    expect(hub.map(({ method, range }) => `${method} ${range}`)).toEqual(
      expect.arrayContaining(['GET bytes=0-63', 'HEAD undefined', 'GET undefined']),
    );
    await load(URL_OF_MODEL);
    expect((await partsAsked()).filter((part) => part > 0)).toEqual(ALL_PARTS.slice(1));
    expect(await kept()).toEqual(WHOLE);
  }],
  ['signed link that is signed anew', 'nothing: the download goes on, and a second visit downloads nothing', 'the parts that came', async () => {
    await serve({ hideHeaders: true, signature: 'first' });
    await load(signed('first'), { until: 2 * PART });
    await expect.poll(kept).toEqual({ [URL_OF_MODEL]: 3 });
    await misbehave({ hideHeaders: true, signature: 'second' });
    for (const link of [signed('second'), signed('second')]) await load(link);
    expect(await kept()).toEqual(WHOLE);
    expect((await partsAsked()).filter((part) => part > 0)).toEqual(ALL_PARTS.slice(1));
  }],
  ['signed link that expires in the middle of a download', '`access_denied`: that it has expired, and when; give one that is signed anew', 'the parts that came', async () => {
    await serve({ signature: 'first' });
    await load(signed('first', -60), { until: 2 * PART });
    await expect.poll(kept).toEqual({ [URL_OF_MODEL]: 3 });
    for (const noCors of [false, true]) {
      await misbehave({ signature: 'second', noCors });
      const error = await failure(signed('first', -60));
      expect(error).toEqual(fails('access_denied', /its link expired at 20.*signed anew/));
      expect(String(error)).not.toMatch(/X-Amz|first/);
    }
    expect(await kept()).toEqual({ [URL_OF_MODEL]: 3 });
  }],
  ['CORS refusal', `${REMOTE}: the server answers, but not to this page; another server, or the file itself`, 'all there was', async () => {
    await serve({ noCors: true });
    expect(await failure(URL_OF_MODEL)).toEqual(fails('download_failed', /does not let pages of other sites.*\(CORS\)/));
  }],
  ['HTML instead of a model', '`model_not_found`: it is a web page', 'nothing of it is stored', async () => {
    const content = { text: '<!doctype html><title>Sign in</title>' };
    await command({ do: 'serve', at: 'hub', path: '/m.gguf', content, faults: { contentType: 'text/html; charset=utf-8' } });
    expect(await failure(URL_OF_MODEL)).toEqual(fails('model_not_found', /is a web page, not a model/));
    expect(await kept()).toEqual({});
  }],
  ['HTML instead of a model that is stored (Wi-Fi portal)', 'nothing: the stored one is used', 'the stored one', async () => {
    await serve();
    await load(URL_OF_MODEL);
    await command({ do: 'serve', at: 'hub', path: '/m.gguf', content: { text: '<html>Welcome to our Wi-Fi' } });
    expect((await load(URL_OF_MODEL)).lines).toEqual(says(/web page.*the stored version is used/));
    expect(await kept()).toEqual(WHOLE);
  }],
];

const FILES: readonly Row[] = [
  ['file of the user’s that was deleted or changed since', '`model_not_found`: choose it again', 'nothing', async () => {
    const root = await navigator.storage.getDirectory();
    const handle = await root.getFileHandle('mine.gguf', { create: true });
    const write = async (text: string): Promise<void> => {
      const writable = await handle.createWritable();
      await writable.write(text);
      await writable.close();
    };
    await write('GGUF 1');
    const before = await handle.getFile();
    await write('GGUF, and more');
    const lost = fails('model_not_found', /mine\.gguf cannot be read.*Choose it again/);
    for (const look of [read, fileFingerprint]) await expect(look(before)).rejects.toEqual(lost);
    const after = await handle.getFile();
    await root.removeEntry('mine.gguf');
    for (const look of [read, fileFingerprint]) await expect(look(after)).rejects.toEqual(lost);
  }],
];

async function read(file: File): Promise<void> {
  const source = await openSource(file, { baseUrl: location.href, onProgress: () => {}, log: () => {} });
  await source.read(0, 4);
}

const CACHE: readonly Row[] = [
  ['stored part altered, cut short or missing', 'nothing: it alone is fetched again', 'all other parts', async () => {
    await serve();
    await load(URL_OF_MODEL);
    await spoil(1, (file) => file.write({ type: 'write', position: 999, data: Uint8Array.of(1, 2, 3) }));
    await spoil(2, (file) => file.truncate(100));
    await spoil(4, (file) => file.truncate(0));
    expect((await load(URL_OF_MODEL)).lines).toEqual(says(/Part 1 .*damaged/));
    expect(await partsAsked()).toEqual([...ALL_PARTS, 1, 2, 4].toSorted());
    await load(URL_OF_MODEL);
    expect(await partsAsked()).toHaveLength(9);
  }],
  ['half-written manifest', 'nothing: the file counts as not stored', 'all other models', async () => {
    await publish(FIRST);
    await load(NAME);
    await serve();
    const halves = [{ url: URL_OF_MODEL }, { url: URL_OF_MODEL, version: { size: 9 }, partBytes: PART, parts: [7], lastUsed: 1 }, 'x'];
    for (const half of halves) {
      await set(URL_OF_MODEL, half, createStore('tabserve-models', 'manifests'));
      await load(URL_OF_MODEL);
      expect(await kept()).toEqual({ ...WHOLE, [commitUrl(FIRST)]: 6 });
    }
  }],
  ['files evicted by the browser', 'nothing: they are fetched again', 'all that is left', async () => {
    await serve();
    await load(URL_OF_MODEL);
    await (await navigator.storage.getDirectory()).removeEntry('tabserve-models', { recursive: true });
    await load(URL_OF_MODEL);
    expect(await partsAsked()).toHaveLength(12);
    expect(await kept()).toEqual(WHOLE);
  }],
  ['tab or worker killed during the download', 'the next load goes on', 'the parts that came', async () => {
    await serve({ pauseMs: 50 });
    const { worker, told } = startWorker({ name: URL_OF_MODEL }, 2 * PART);
    await told;
    worker.terminate();
    expect((await kept())[URL_OF_MODEL]).toBeGreaterThanOrEqual(2);
    await load(URL_OF_MODEL);
    // What was read before is not asked for again; what was on its way when the worker died may be.
    expect((await partsAsked()).filter((part) => part < 2)).toEqual([0, 1]);
    expect(await kept()).toEqual(WHOLE);
  }],
  ['two tabs start the same download', 'nothing: each part is fetched by one, and read by the other', 'all', async () => {
    await serve({ pauseMs: 20 });
    const workers = [startWorker({ name: URL_OF_MODEL }), startWorker({ name: URL_OF_MODEL })];
    for (const { told } of workers) expect(await told).toMatchObject({ isDone: true, told: { lines: [] } });
    for (const { worker } of workers) worker.terminate();
    expect(await partsAsked()).toEqual(ALL_PARTS);
  }],
  ['model deleted while it is loaded', 'nothing', 'what comes after', async () => {
    await serve();
    const loading = load(URL_OF_MODEL);
    await deleteModel(URL_OF_MODEL);
    await loading;
  }],
  ['full disk (`QuotaExceededError`)', 'the model runs; the log says that the next visit downloads the rest again', 'the parts that found room, all other models', async () => {
    await publish(FIRST);
    await load(NAME);
    await serve();
    const { worker, told } = startWorker({ name: URL_OF_MODEL, room: 8 });
    expect(await told).toMatchObject({ told: { lines: says(/refused part \d.*QuotaExceededError.*Free some space/) } });
    worker.terminate();
    expect(await kept()).toEqual({ [URL_OF_MODEL]: 2, [commitUrl(FIRST)]: 6 });
  }],
  ['full disk, and a server without ranges', '`storage_failed`: free some space, or open the file', 'the parts that found room', async () => {
    await serve({ ignoreRange: true });
    const { worker, told } = startWorker({ name: URL_OF_MODEL, room: 2 });
    expect(await told).toMatchObject({ error: fails('storage_failed', /no ranges.*Free some space/) });
    worker.terminate();
    expect(await kept()).toEqual({ [URL_OF_MODEL]: 2 });
  }],
  ['quota shrunk', 'the model runs; the log says that the next visit downloads the rest again', 'the parts that are there', async () => {
    await serve();
    await loadSome(2);
    await setQuota(1000);
    expect((await load(URL_OF_MODEL)).lines).toEqual(says(/storage refused part/));
    expect(await kept()).toEqual({ [URL_OF_MODEL]: 3 });
    await setQuota(undefined);
    await load(URL_OF_MODEL);
    expect(await kept()).toEqual(WHOLE);
  }],
  ['no OPFS (private windows, insecure addresses)', 'the model runs through memory; the log says so', 'nothing', async () => {
    await serve();
    for (const getDirectory of [undefined, () => Promise.reject(new DOMException('No.', 'SecurityError'))]) {
      Object.defineProperty(navigator.storage, 'getDirectory', { value: getDirectory, configurable: true });
      const { lines } = await load(URL_OF_MODEL).finally(() => Reflect.deleteProperty(navigator.storage, 'getDirectory'));
      expect(lines).toEqual([expect.stringMatching(/(no storage|storage refused).*(next visit)/)]);
      expect(await kept()).toEqual({});
    }
  }],
];

const VERSIONS: readonly Row[] = [
  ['new revision of a cached model', 'the new one', 'the old one until the new one is whole', async () => {
    for (const [name, change] of [[URL_OF_MODEL, () => serve({}, 2)], [NAME, () => publish(SECOND, 2)]] as const) {
      await (name === NAME ? publish(FIRST) : serve());
      await load(name);
      await change();
      await load(name, { seed: 2, until: PART });
      expect(Object.values(await kept()).filter((parts) => parts === 6)).toHaveLength(1);
      await load(name, { seed: 2 });
      expect(Object.values(await kept())).toEqual([6]);
      for (const { url } of await listModels()) await deleteModel(url);
    }
  }],
  ['new revision, and its server goes away', `${REMOTE}; the next load uses the old one`, 'both', async () => {
    await serve();
    await load(URL_OF_MODEL);
    await serve({ cutAfter: 64 }, 2);
    expect(await failure(URL_OF_MODEL, { seed: 2 })).toEqual(fails('download_failed', /tries/));
    await misbehave({ noCors: true });
    await load(URL_OF_MODEL, { seed: 1 });
    expect(await kept()).toEqual(WHOLE);
  }],
  ['new revision, and a full disk', 'the new one; the log says that the old one made room', 'all other models', async () => {
    await publish(FIRST);
    await load(NAME);
    await serve();
    await load(URL_OF_MODEL);
    await serve({}, 2);
    const { worker, told } = startWorker({ name: URL_OF_MODEL, room: 14, setup: { seed: 2 } });
    expect(await told).toMatchObject({ told: { lines: says(/full: the older version of .* makes room/) } });
    worker.terminate();
    expect(Object.values(await kept())).toEqual([6, 6]);
  }],
  ['hub that cannot be reached', 'nothing, where the model is cached: it is used', 'all', async () => {
    await publish(FIRST);
    await load(NAME);
    await command({ do: 'answer', status: 0 });
    expect((await load(NAME)).lines).toEqual(says(/The stored version is used/));
    expect(await load(`${NAME}@${FIRST}`)).toEqual({ lines: [], waits: [] });
  }],
  ['file with another SHA-256 than the hub says', '`corrupt_model`: load it again, or from another place', 'all other models', async () => {
    await serve();
    await load(URL_OF_MODEL);
    await publish(FIRST, 1, { oid: '0'.repeat(64) });
    expect(await failure(NAME)).toEqual(fails('corrupt_model', /SHA-256.*Its stored parts have been deleted/));
    expect(await kept()).toEqual(WHOLE);
  }],
];

const GPU: readonly Row[] = [
  ['GPU that computes wrong numbers', 'nothing, where kernels without subgroups are right; else `wrong_results`: the GPU, the kernel, and what to do', 'all', async () => {
    await command({ do: 'serve', at: 'hub', path: '/m.gguf', content: { model: 'babble' } });
    const { end } = await plantFault(UNSCALED_SPLITS);
    try {
      const error = await loadOntoGpu(URL_OF_MODEL).catch((reason: unknown) => reason);
      expect(error).toEqual(fails('wrong_results', /The kernel attention-merge.* download is kept.*Update the graphics driver/));
    } finally {
      end();
    }
    const [model] = await listModels();
    expect(model).toMatchObject({ url: URL_OF_MODEL, bytesCached: model?.size });
  }],
];

const ROWS = [...CONNECTION, ...ANSWERS, ...FILES, ...CACHE, ...VERSIONS, ...GPU];

test.each(ROWS)('%s | %s | %s', async (_fault, _sees, _kept, proof) => {
  await proof();
});

test('the documentation has these rows and no others', () => {
  const rows = ROWS.map((row) => `| ${row.slice(0, 3).join(' | ')} |`);
  const table = loadingPage.slice(loadingPage.indexOf('| Fault |')).split('\n\n')[0] ?? '';
  expect(table.trim().split('\n').slice(2)).toEqual(rows);
  expect(servers.hub).not.toBe(servers.cdn);
});
