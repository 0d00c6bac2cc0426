import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { FetchResult } from '../../../demo/server/fetch-model.mjs';
import { type LogEntry, startDemoServer } from '../../../demo/server/server.mjs';
import { fakeModel, temporaryFolder } from './fakes.ts';

const { content, model: spec } = fakeModel();
const MODEL_PATH = '/models/fake.gguf';

/** A server with a built page and a models folder in which the default model lies, `available` or not. */
async function start(available = true): Promise<{ url: string; port: number; requests: LogEntry[] }> {
  const folder = temporaryFolder();
  const distDir = join(folder, 'dist');
  const modelsDir = join(folder, '.models');
  for (const dir of [join(distDir, 'assets'), modelsDir]) mkdirSync(dir, { recursive: true });
  writeFileSync(join(distDir, 'index.html'), '<!doctype html><title>page</title>');
  writeFileSync(join(distDir, 'assets', 'index-abc123.js'), 'export {};');
  writeFileSync(join(folder, 'secret.gguf'), 'secret');
  writeFileSync(join(modelsDir, spec.file), content);
  writeFileSync(join(modelsDir, `${spec.file}.part`), content);
  writeFileSync(join(modelsDir, 'mine and ours.gguf'), 'GGUF');
  const path = join(modelsDir, spec.file);
  const model: FetchResult = available ? { available, path, source: 'hub' } : { available, reason: 'no network' };
  const requests: LogEntry[] = [];
  const server = await startDemoServer({
    port: 0,
    modelsDir,
    distDir,
    model,
    spec,
    onRequest: (entry) => requests.push(entry),
  });
  onTestFinished(() => server.close());
  return { url: server.url, port: server.port, requests };
}

test('the page and its assets come with types and with caching that fits', async () => {
  const { url } = await start();
  const page = await fetch(`${url}/?model=x`);
  expect(await page.text()).toContain('<title>page');
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(page.headers.get('cache-control')).toBe('no-cache');
  const asset = await fetch(`${url}/assets/index-abc123.js`);
  expect(asset.headers.get('content-type')).toMatch(/^text\/javascript/);
  expect(asset.headers.get('cache-control')).toContain('immutable');
});

test('the index tells the page which model lies beside it', async () => {
  const { url } = await start();
  const response = await fetch(`${url}/models/index.json`);
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  const { name, bytes, license } = spec;
  expect(await response.json()).toEqual({ default: { available: true, name, url: MODEL_PATH, bytes, license } });
});

test('a model that was not checked is neither told of nor served', async () => {
  const { url } = await start(false);
  expect(await (await fetch(`${url}/models/index.json`)).json()).toEqual({
    default: { available: false, reason: 'no network' },
  });
  expect((await fetch(url + MODEL_PATH)).status).toBe(404);
});

test('a model is served whole, by HEAD and in ranges, and never from the HTTP cache', async () => {
  const { url, requests } = await start();
  const head = await fetch(url + MODEL_PATH, { method: 'HEAD' });
  expect(Object.fromEntries(head.headers)).toMatchObject({
    'content-length': String(spec.bytes),
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    'cache-control': 'no-store',
    etag: `"${spec.sha256}"`,
  });
  expect(Buffer.from(await (await fetch(url + MODEL_PATH)).arrayBuffer()).equals(content)).toBe(true);
  for (const [range, from, to] of [
    ['0-0', 0, 1],
    ['1000-1999', 1000, 2000],
    ['300000-999999', 300_000, 300_001],
    ['-500', 299_501, 300_001],
  ] as const) {
    const response = await fetch(url + MODEL_PATH, { headers: { range: `bytes=${range}` } });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${from}-${to - 1}/${spec.bytes}`);
    expect(Buffer.from(await response.arrayBuffer()).equals(content.subarray(from, to))).toBe(true);
  }
  const beyond = await fetch(url + MODEL_PATH, { headers: { range: 'bytes=300001-' } });
  expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${spec.bytes}`]);
  expect(requests).toContainEqual({ method: 'GET', url: MODEL_PATH, range: 'bytes=1000-1999', status: 206 });
});

test('a range of a file that has changed since is answered with all of it', async () => {
  const { url } = await start();
  const ask = (etag: string): Promise<Response> =>
    fetch(url + MODEL_PATH, { headers: { range: 'bytes=0-9', 'if-range': etag } });
  expect((await ask(`"${spec.sha256}"`)).status).toBe(206);
  expect((await ask('"other"')).status).toBe(200);
});

test("models of one's own in the folder are served; nothing unfinished, and nothing outside it", async () => {
  const { url, port } = await start();
  expect(await (await fetch(`${url}/models/mine%20and%20ours.gguf`)).text()).toBe('GGUF');
  for (const path of [
    `${MODEL_PATH}.part`,
    '/models/',
    '/models/none.gguf',
    '/models/..%2Fsecret.gguf',
    '/models/%2e%2e/secret.gguf',
    '/%',
  ]) {
    expect([path, (await fetch(url + path)).status]).toEqual([path, 404]);
  }
  // fetch would tidy these up before sending them.
  for (const path of ['/models/../secret.gguf', '/../secret.gguf', '//models/none', '/models/%']) {
    expect([path, await statusOf(port, path)]).toEqual([path, 404]);
  }
});

test('localhost answers on IPv4 and, where there is one, on IPv6', async () => {
  const { port } = await start();
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  const six = await fetch(`http://[::1]:${port}/`).then(
    (response) => response.status,
    (error: Error) => (error.cause as NodeJS.ErrnoException).code,
  );
  expect([200, 'EADDRNOTAVAIL', 'EAFNOSUPPORT']).toContain(six);
});

test('a port that is taken is refused by that name', async () => {
  const { port } = await start();
  const options = {
    port,
    modelsDir: temporaryFolder(),
    distDir: temporaryFolder(),
    model: { available: false, reason: '' } as const,
  };
  await expect(startDemoServer(options)).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

/** The status of a GET whose path is sent as it stands. */
function statusOf(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
    );
    socket.once('data', (data) => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(String(data))?.[1])));
    socket.once('error', reject);
  });
}
