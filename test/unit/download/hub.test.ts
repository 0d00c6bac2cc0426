import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HubSettings } from '../../../src/core/protocol.ts';
import type { ByteSource } from '../../../src/core/byte-source.ts';
import { listModels, removeModel } from '../../../src/storage/model-storage.ts';
import { openSource } from '../../../src/download/open-source.ts';
import { startFakeHub } from '../../support/fake-hub.ts';
import type { FakeHub } from '../../support/fake-hub.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import type { MemoryStorage } from '../storage/memory-storage.ts';
import { firstDifference, seededFile } from './seeded-bytes.ts';

const PART = 65_536;
const content = seededFile(5 * PART + 99, 1);
const newer = seededFile(5 * PART + 99, 2);
const [FIRST, SECOND, THIRD] = ['a', 'b', 'c'].map((digit) => digit.repeat(40)) as [string, string, string];
const TOKEN = 'hf_secret';
let hub: FakeHub;
let storage: MemoryStorage;
let lines: string[];

beforeEach(async () => {
  hub = await startFakeHub();
  const files = { 'dir/m.gguf': { content, lastCommit: FIRST }, 'small.gguf': { content, lastCommit: FIRST } };
  hub.repos.set('o/r', { revisions: { main: SECOND, v1: FIRST }, commits: { [FIRST]: files, [SECOND]: files } });
  storage = memoryStorage();
  lines = [];
});
afterEach(() => hub.close());

function open(name: string, settings: HubSettings = {}): Promise<ByteSource> {
  return openSource(name, {
    baseUrl: 'https://page.example/',
    hub: { endpoint: hub.server.origin, ...settings },
    onProgress: () => {},
    log: (_level, message) => lines.push(message),
    storage,
    partBytes: PART,
    http: { retries: { attempts: 2, firstDelayMs: 0, maxDelayMs: 0, sleep: () => Promise.resolve() } },
  });
}

async function load(name: string, settings?: HubSettings): Promise<Uint8Array> {
  const source = await open(name, settings);
  const all = new Uint8Array(source.size);
  for (let at = 0; at < source.size; at += 50_000) all.set(await source.read(at, Math.min(50_000, source.size - at)), at);
  return all;
}
const publish = (commit: string, bytes: Uint8Array, lastCommit = commit): void => {
  const repo = hub.repos.get('o/r')!;
  repo.revisions['main'] = commit;
  repo.commits[commit] = { 'dir/m.gguf': { content: bytes, lastCommit } };
};
const fileAt = (commit: string): string => `${hub.server.origin}/o/r/resolve/${commit}/dir/m.gguf`;
const stored = async (): Promise<readonly string[]> => (await listModels(storage)).map(({ url }) => url);

test('a name is pinned to the commit that last changed the file, and the whole is verified', async () => {
  expect(firstDifference(await load('hf:o/r/dir/m.gguf'), content)).toBe(-1);
  expect(await stored()).toEqual([fileAt(FIRST)]);
  expect(storage.manifests.get(fileAt(FIRST))).toMatchObject({ isVerified: true });
  expect(hub.questions[0]).toBe('paths-info main');
  expect(lines).toEqual([]);
});

test('a branch that moves without the file brings nothing new', async () => {
  await load('hf:o/r/dir/m.gguf');
  publish(THIRD, content);
  hub.questions.length = 0;
  hub.cdn.log.length = 0;
  expect(firstDifference(await load('hf:o/r/dir/m.gguf'), content)).toBe(-1);
  expect(hub.questions).toEqual(['paths-info main']);
  expect(hub.cdn.log).toEqual([]);
});

test('a new revision takes the place of the old one when it is whole, and not before', async () => {
  await load('hf:o/r/dir/m.gguf');
  publish(THIRD, newer);
  const source = await open('hf:o/r/dir/m.gguf');
  expect(firstDifference(await source.read(0, 2 * PART), newer.subarray(0, 2 * PART))).toBe(-1);
  expect(new Set(await stored())).toEqual(new Set([fileAt(FIRST), fileAt(THIRD)]));
  hub.status = 503; // and the hub goes away in the middle of it
  expect(firstDifference(await load('hf:o/r/dir/m.gguf'), content)).toBe(-1);
  hub.status = undefined;
  expect(firstDifference(await load('hf:o/r/dir/m.gguf'), newer)).toBe(-1);
  expect(await stored()).toEqual([fileAt(THIRD)]);
});

test('what names a commit is loaded without asking anyone', async () => {
  await load(`hf:o/r/dir/m.gguf@${FIRST}`);
  hub.questions.length = 0;
  await hub.server.close();
  expect(firstDifference(await load(`hf:o/r/dir/m.gguf@${FIRST}`), content)).toBe(-1);
  expect(hub.questions).toEqual([]);
  expect(lines).toEqual([]);
});

test('a download that names a commit goes on without the hub knowing more', async () => {
  await (await open(`hf:o/r/dir/m.gguf@${FIRST}`)).read(0, PART);
  hub.questions.length = 0;
  expect(firstDifference(await load(`hf:o/r/dir/m.gguf@${FIRST}`), content)).toBe(-1);
  expect(new Set(hub.questions)).toEqual(new Set([`resolve ${FIRST}`]));
});

test('without the hub, the last of a branch is used', async () => {
  await load('hf:o/r/dir/m.gguf');
  hub.status = 0;
  expect(firstDifference(await load('hf:o/r/dir/m.gguf'), content)).toBe(-1);
  expect(lines).toEqual([expect.stringMatching(/Could not ask http.* The stored version is used/)]);
});

test('a file that has another SHA-256 than the hub says is refused and deleted; others stay', async () => {
  await load('hf:o/r/small.gguf');
  hub.repos.get('o/r')!.commits[FIRST] = { 'dir/m.gguf': { content, lastCommit: FIRST, oid: '1'.repeat(64) } };
  hub.repos.get('o/r')!.commits[SECOND] = hub.repos.get('o/r')!.commits[FIRST]!;
  await expect(load('hf:o/r/dir/m.gguf')).rejects.toMatchObject({
    code: 'corrupt_model',
    message: expect.stringMatching(/SHA-256 is [0-9a-f]{64}, and the hub says 1{64}.*Load it again/),
  });
  expect(await stored()).toEqual([`${hub.server.origin}/o/r/resolve/${FIRST}/small.gguf`]);
});

test('what was loaded by its plain URL is verified when its name is loaded', async () => {
  const plain = `${hub.server.origin}/o/r/resolve/main/dir/m.gguf`;
  await load(plain);
  hub.cdn.log.length = 0;
  expect(firstDifference(await load('hf:o/r/dir/m.gguf'), content)).toBe(-1);
  expect(hub.cdn.log).toEqual([]);
  expect(storage.manifests.get(plain)).toMatchObject({ isVerified: true });
  await removeModel(plain, storage);
  await load(plain);
  publish(THIRD, newer); // of the same size: only the hash tells
  await expect(load('hf:o/r/dir/m.gguf')).rejects.toMatchObject({ code: 'corrupt_model' });
  expect(firstDifference(await load('hf:o/r/dir/m.gguf'), newer)).toBe(-1);
});

test('a lost part of a verified file is only replaced by the same bytes', async () => {
  await load('hf:o/r/dir/m.gguf');
  storage.parts.delete(`${fileAt(FIRST)}#2`);
  for (const file of hub.cdn.files.values()) file.content = seededFile(content.length, 9);
  await expect(load('hf:o/r/dir/m.gguf')).rejects.toMatchObject({ code: 'corrupt_model' });
  expect(storage.parts.size).toBe(5);
  for (const file of hub.cdn.files.values()) file.content = content;
  expect(firstDifference(await load('hf:o/r/dir/m.gguf'), content)).toBe(-1);
});

test.each<[string, string, HubSettings, string, RegExp]>([
  ['a repository that is not there', 'hf:o/none/m.gguf', {}, 'access_denied', /HTTP 401.*names it does not know.*hub.token/],
  ['a revision that is not there', 'hf:o/r/dir/m.gguf@v9', {}, 'model_not_found', /no o\/r, or no v9 of it/],
  ['a file that is not there', 'hf:o/r/x.gguf', {}, 'model_not_found', /no x.gguf in o\/r at main. It has dir\/m.gguf, small.gguf/],
  ['a gated model without a token', 'hf:o/gated/m.gguf', {}, 'access_denied', /HTTP 401.*accept the model's terms/],
  ['a gated model with another token', 'hf:o/gated/m.gguf', { token: 'hf_other' }, 'access_denied', /HTTP 403.*token may not read it/],
])('%s', async (_case, name, settings, code, message) => {
  hub.repos.set('o/gated', { ...hub.repos.get('o/r')!, token: TOKEN });
  await expect(load(name, settings)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  expect(storage.manifests.size).toBe(0);
});

test('a token opens a gated model, and is in no log, error or storage', async () => {
  hub.repos.set('o/gated', { ...hub.repos.get('o/r')!, token: TOKEN });
  expect(firstDifference(await load('hf:o/gated/dir/m.gguf', { token: TOKEN }), content)).toBe(-1);
  expect(hub.questions.every((question) => question.endsWith('with a token'))).toBe(true);
  hub.status = 500;
  const failure: unknown = await load('hf:o/gated/other.gguf', { token: TOKEN }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'download_failed' });
  const told = [String(failure), ...lines, JSON.stringify([...storage.manifests])].join('\n');
  expect(told).not.toContain(TOKEN);
});

test('a token is sent to the hub, and to no other server', async () => {
  hub.cdn.files.set('/m.gguf', { content, faults: {} });
  hub.server.files.set('/m.gguf', { content, faults: {} });
  for (const { origin } of [hub.cdn, hub.server]) await load(`${origin}/m.gguf`, { token: TOKEN });
  expect(new Set(hub.cdn.log.map(({ authorization }) => authorization))).toEqual(new Set([undefined]));
  expect(new Set(hub.server.log.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${TOKEN}`]));
});

test('what is no hub is told of', async () => {
  await expect(load('hf:o/r/dir/m.gguf', { endpoint: hub.cdn.origin })).rejects.toMatchObject({ code: 'model_not_found' });
  const page: typeof fetch = async () => new Response('<html>', { headers: { 'Content-Type': 'text/html' } });
  const asked = openSource('hf:o/r/dir/m.gguf', {
    baseUrl: '', storage: null, onProgress: () => {}, log: () => {}, http: { fetch: page },
  });
  await expect(asked).rejects.toMatchObject({ code: 'download_failed', message: expect.stringMatching(/hub.endpoint/) });
});
