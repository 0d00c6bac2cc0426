import { afterEach, describe, expect, test, vi } from 'vitest';
import { resolveWorkerUrl, scriptFailure, type WorkerPage } from '../../../src/client/worker-script.ts';

const page: WorkerPage = {
  origin: 'https://app.example',
  baseUrl: 'https://app.example/some/page.html',
  moduleUrl: 'https://app.example/assets/index.js',
};

const COPY = 'Copy node_modules/tabserve/dist/engine-worker.js';

function refusal(workerUrl: unknown, at: Partial<WorkerPage> = {}): unknown {
  try {
    resolveWorkerUrl(workerUrl, { ...page, ...at });
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('a worker’s URL', () => {
  test('is one of the page’s own origin: whole, a path, or relative to the page', () => {
    const resolved = ['/w.js', 'w.js', 'https://app.example/w.js', new URL('https://app.example/w.js')];
    expect(resolved.map((url) => resolveWorkerUrl(url, page)?.href)).toEqual([
      'https://app.example/w.js', 'https://app.example/some/w.js', 'https://app.example/w.js', 'https://app.example/w.js',
    ]);
  });

  test.each([
    ['https://cdn.example/w.js', 'from https://cdn.example'],
    ['http://app.example/w.js', 'from http://app.example'],
    ['//cdn.example/w.js', 'from https://cdn.example'],
    ['blob:https://app.example/1', 'blob: URL'],
    ['data:text/javascript,1', 'data: URL'],
    ['', "is ''"],
    ['https://', "is 'https://'"],
    [7, 'type number'],
    [null, 'is null'],
  ])('%s is refused, with what to do', (given, what) => {
    const message: unknown = expect.stringMatching(new RegExp(`${what}[^]*${COPY}`));
    expect(refusal(given)).toMatchObject({ name: 'TabserveError', code: 'invalid_request', param: 'workerUrl', message });
  });

  test('is where the bundler put it unless given, if a page can start workers from there', () => {
    expect(resolveWorkerUrl(undefined, page)).toBeUndefined();
    expect(resolveWorkerUrl(undefined, { ...page, moduleUrl: 'file:///src/tabserve/dist/index.js' })).toBeUndefined(); // webpack's
    expect(refusal(undefined, { moduleUrl: 'https://cdn.example/index.js' })).toMatchObject({
      code: 'invalid_request', param: 'workerUrl', message: expect.stringContaining('https://cdn.example') as unknown,
    });
    expect(refusal(undefined, { moduleUrl: undefined })).toMatchObject({
      code: 'invalid_request', param: 'workerUrl', message: expect.stringContaining('no module') as unknown,
    });
    expect(resolveWorkerUrl('/w.js', { ...page, moduleUrl: 'https://cdn.example/index.js' })?.href).toBe('https://app.example/w.js');
  });
});

describe('a worker that did not come up', () => {
  const url = new URL('https://app.example/w.js');
  afterEach(() => vi.unstubAllGlobals());

  test.each([
    [new Response('', { status: 404 }), 'w.js: HTTP 404'],
    [new Response('<html>', { headers: { 'content-type': 'text/html' } }), 'w.js: it is served as text/html'],
    [new Response('1', { headers: { 'content-type': 'text/javascript; charset=utf-8' } }), 'w.js. Its script'],
    [undefined, 'w.js: it cannot be fetched'],
  ])('is told by what its script’s URL answers: %#', async (response, what) => {
    vi.stubGlobal('fetch', () => (response === undefined ? Promise.reject(new TypeError('gone')) : Promise.resolve(response)));
    expect(await scriptFailure(url)).toMatchObject({
      code: 'invalid_request', param: 'workerUrl', message: expect.stringContaining(what) as unknown,
    });
  });

  test('is told without it where the bundler put it', async () => {
    expect((await scriptFailure(undefined)).message).toContain(`could not be started. Its script`);
  });
});
