import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname } from 'node:os';
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

test('the default model that was not checked is served under no other spelling of its name', async () => {
  const { url } = await start(false);
  const spellings = [spec.file.replace('e', '%65'), spec.file.replace('.', '%2E'), spec.file.replace('fake', 'FAKE')];
  for (const file of spellings) expect([file, (await fetch(`${url}/models/${file}`)).status]).toEqual([file, 404]);
  const checked = await start();
  const response = await fetch(`${checked.url}/models/${spellings[0]}`);
  expect([response.status, response.headers.get('etag')]).toEqual([200, `"${spec.sha256}"`]);
});

test('a name of a stranger’s domain is refused, whatever it resolves to', async () => {
  const { port } = await start();
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, '[::1]', 'app.localhost', '192.168.1.2:80', hostname()]) {
    expect([host, await statusOf(port, '/', host)]).toEqual([host, 200]);
  }
  for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example', '', 'a b']) {
    expect([host, await statusOf(port, MODEL_PATH, host)]).toEqual([host, host === 'a b' || host === '' ? expect.toSatisfy(isRefused) : 421]);
  }
});

const isRefused = (status: unknown): boolean => status === 400 || status === 421;

test('an upgrade that nobody asked for holds no socket, on either address', async () => {
  const { port } = await start();
  for (const address of ['127.0.0.1', '::1']) {
    const answer = await rawAnswer(port, address, `GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 200|^EADDRNOTAVAIL|^EAFNOSUPPORT/);
  }
});

test('only its own pages may frame it, and a service worker that was left there ends', async () => {
  const { url } = await start();
  for (const path of ['/', '/models/index.json', '/none']) {
    expect((await fetch(url + path)).headers.get('content-security-policy')).toBe("frame-ancestors 'self'");
  }
  const worker = await fetch(`${url}/service-worker.js`);
  expect(worker.headers.get('content-type')).toMatch(/^text\/javascript/);
  expect(await worker.text()).toContain('registration.unregister()');
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

/** The status of a GET whose path and host are sent as they stand. */
async function statusOf(port: number, path: string, host = 'localhost'): Promise<number> {
  const answer = await rawAnswer(port, '127.0.0.1', `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
}

/** The beginning of what is answered, or the code of the error. */
function rawAnswer(port: number, address: string, request: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, address, () => socket.write(request));
    socket.once('data', (data) => {
      socket.destroy();
      resolve(String(data));
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}
