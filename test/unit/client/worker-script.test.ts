import { afterEach, describe, expect, test, vi } from 'vitest';
import { constructionFailure, type FailedWorker, resolveWorkerUrl, scriptFailure, type WorkerPage } from '../../../src/client/worker-script.ts';

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
    expect(resolved.map((url) => resolveWorkerUrl(url, page)?.url.href)).toEqual([
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
    expect(resolveWorkerUrl('/w.js', { ...page, moduleUrl: 'https://cdn.example/index.js' })?.url.href).toBe('https://app.example/w.js');
  });
});

describe('a page that requires Trusted Types', () => {
  afterEach(() => vi.unstubAllGlobals());

  /** As a policy makes them: the browser takes the object, not its text. */
  class FakeTrustedScriptUrl {
    readonly #text: string;
    constructor(text: string) {
      this.#text = text;
    }
    toString(): string {
      return this.#text;
    }
  }
  const trust = () => vi.stubGlobal('trustedTypes', { isScriptURL: (value: unknown) => value instanceof FakeTrustedScriptUrl });

  test('gives an address that its policy made: it reaches the browser as it is, and its text is checked as any', () => {
    trust();
    const address = new FakeTrustedScriptUrl('/w.js');
    const script = resolveWorkerUrl(address, page);
    expect(script?.address).toBe(address);
    expect(script?.url.href).toBe('https://app.example/w.js');
    for (const text of ['https://cdn.example/w.js', 'blob:https://app.example/1', '']) {
      expect(refusal(new FakeTrustedScriptUrl(text))).toMatchObject({ code: 'invalid_request', param: 'workerUrl' });
    }
    vi.unstubAllGlobals();
    expect(refusal(address)).toMatchObject({ message: expect.stringContaining('type object') as unknown });
  });

  test('is told what to give where it has given text', () => {
    trust();
    const { message, code } = constructionFailure(new TypeError("This document requires 'TrustedScriptURL' assignment."));
    expect(message).toMatch(/assignment\..*require-trusted-types-for.*workerUrl: policy\.createScriptURL/);
    expect(code).toBe('invalid_request');
    expect(constructionFailure(new DOMException('no', 'SecurityError')).message).not.toContain('policy');
    vi.unstubAllGlobals();
    expect(constructionFailure(new TypeError('no')).message).not.toContain('policy');
  });
});

describe('a worker that did not come up', () => {
  const url = new URL('https://app.example/w.js');
  afterEach(() => vi.unstubAllGlobals());

  const script = (headers: Record<string, string> = {}) => new Response('1', { headers: { 'content-type': 'text/javascript; charset=utf-8', ...headers } });
  const COEP = 'cross-origin-embedder-policy';

  /** Answers by path. Pages are at `/`. */
  function serve(answers: Readonly<Record<string, () => Response>>): void {
    vi.stubGlobal('location', { href: 'https://app.example/' });
    vi.stubGlobal('fetch', async (asked: URL) => {
      const answer = answers[asked.pathname];
      if (answer === undefined) throw new TypeError('gone');
      return answer();
    });
  }

  test.each([
    [() => new Response('', { status: 404 }), 'w.js: HTTP 404'],
    [() => new Response('<html>', { headers: { 'content-type': 'text/html' } }), 'w.js: it is served as text/html'],
    [script, 'w.js. Its script'],
    [undefined, 'w.js: it cannot be fetched'],
  ])('is told by what its script’s URL answers: %#', async (answer, what) => {
    serve(answer === undefined ? {} : { '/w.js': () => answer() });
    expect(await scriptFailure({ url, isDedicated: false })).toMatchObject({
      code: 'invalid_request', param: 'workerUrl', message: expect.stringContaining(what) as unknown,
    });
  });

  test('is told without it where the bundler put it', async () => {
    expect((await scriptFailure({ url: undefined, isDedicated: false })).message).toContain(`could not be started. Its script`);
  });

  describe('under a page’s Cross-Origin-Embedder-Policy', () => {
    const pageWith = (policy: string) => () => new Response('<html>', { headers: { [COEP]: policy } });
    const failure = async (failed: Partial<FailedWorker> = {}) => (await scriptFailure({ url, isDedicated: true, ...failed })).message;

    test.each(['require-corp', 'credentialless; report-to="x"'])('%s needs it on a dedicated worker’s script', async (policy) => {
      serve({ '/': pageWith(policy), '/w.js': () => script() });
      const told = `The page is served with the header "Cross-Origin-Embedder-Policy: ${/^[a-z-]+/.exec(policy)?.[0]}"; so`;
      expect(await failure()).toMatch(/w\.js\. The page .* as well, and is not\.$/);
      expect(await failure()).toContain(told);
      expect(await failure({ url: undefined })).toContain(`could not be started. ${told}`);
      expect(await failure({ isDedicated: false })).not.toContain('Embedder');
      serve({ '/': pageWith(policy), '/w.js': () => script({ [COEP]: 'require-corp' }) });
      expect(await failure()).toContain('w.js. Its script');
      serve({ '/': pageWith(policy) });
      expect(await failure()).toContain('w.js: it cannot be fetched.');
    });

    test('there is none, or the page cannot be read again: then it is a matter of cross-origin isolation', async () => {
      serve({ '/': pageWith('unsafe-none'), '/w.js': () => script() });
      expect(await failure()).not.toContain('Embedder');
      serve({ '/w.js': () => script() });
      expect(await failure()).not.toContain('Embedder');
      vi.stubGlobal('crossOriginIsolated', true);
      expect(await failure()).toContain('Embedder');
    });
  });
});
