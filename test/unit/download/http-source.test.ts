import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askVersion } from '../../../src/download/ask-version.ts';
import { httpContext } from '../../../src/download/http-request.ts';
import type { HttpContext } from '../../../src/download/http-request.ts';
import { openHttp } from '../../../src/download/http-source.ts';
import { startFileServer } from '../../support/file-server.ts';
import type { FileServer, ServedFile } from '../../support/file-server.ts';
import { acrossOrigins } from './across-origins.ts';
import { firstDifference, seededBytes } from './seeded-bytes.ts';

const SIZE = 1_000_003;
const content = seededBytes(SIZE);
let server: FileServer;
let file: ServedFile;
let url: string;
let lines: string[];
let delays: number[];

beforeEach(async () => {
  server = await startFileServer({ '/m.gguf': content });
  file = server.files.get('/m.gguf') as ServedFile;
  url = `${server.origin}/m.gguf`;
  lines = [];
  delays = [];
});
afterEach(() => server.close());

function context(options: Partial<HttpContext> = {}): HttpContext {
  const sleep = async (ms: number): Promise<void> => void delays.push(ms);
  const retries = { attempts: 4, firstDelayMs: 500, maxDelayMs: 10_000, sleep };
  return httpContext({ retries, log: (line) => lines.push(line), ...options });
}
const fails = (code: string, message: RegExp): unknown =>
  expect.objectContaining({ name: code === 'aborted' ? 'AbortError' : 'TabserveError', code, message: expect.stringMatching(message) });

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

describe('opening', () => {
  test('learns size, ranges and version from the first bytes', async () => {
    const remote = await openHttp(url, context());
    expect(remote).toMatchObject({ id: url, size: SIZE, isRanged: true, version: { etag: expect.any(String) } });
    expect(server.log).toMatchObject([{ method: 'GET', range: 'bytes=0-63', status: 206, bytesSent: 64 }]);
  });

  test('a server without ranges is found out without reading its file', async () => {
    file.faults = { ignoreRange: true };
    file.content = seededBytes(64 * 1024 * 1024);
    expect(await openHttp(url, context())).toMatchObject({ size: file.content.length, isRanged: false });
    expect(server.bytesSent()).toBeLessThan(16 * 1024 * 1024);
  });

  test('a size hidden from the page is asked for by HEAD', async () => {
    const remote = await openHttp(url, context({ fetch: acrossOrigins }));
    expect(remote).toMatchObject({ size: SIZE, isRanged: true, version: { etag: undefined } });
    expect(server.log.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
    expect(await remote.read(7, 100)).toEqual(content.slice(7, 107));
  });

  test.each([403, 405, 501, 404, 500])('where HEAD is answered with %i, a GET whose body is dropped tells it', async (headStatus) => {
    file.content = seededBytes(64 * 1024 * 1024);
    file.faults = { headStatus };
    const remote = await openHttp(url, context({ fetch: acrossOrigins }));
    expect(remote).toMatchObject({ size: file.content.length, isRanged: true });
    expect(server.log.map(({ method, range }) => `${method} ${range}`)).toEqual(
      ['GET bytes=0-63', 'HEAD undefined', 'GET undefined'],
    );
    expect(server.bytesSent()).toBeLessThan(16 * 1024 * 1024);
    expect(delays).toEqual([]);
    expect(await remote.read(7, 100)).toEqual(file.content.slice(7, 107));
  });

  test('so it does where the browser does not let the page read the answer to HEAD, or that tells nothing', async () => {
    for (const fault of ['unreadable', 'silent about the size'] as const) {
      const asked: (string | undefined)[] = [];
      const refusing: typeof fetch = async (input, init) => {
        asked.push(init?.method);
        if (init?.method !== 'HEAD') return acrossOrigins(input, init);
        if (fault === 'unreadable') throw new TypeError('Failed to fetch'); // S3, whose rule for CORS names GET alone
        return new Response(null);
      };
      expect(await openHttp(url, context({ fetch: refusing }))).toMatchObject({ size: SIZE });
      expect(asked).toEqual(['GET', 'HEAD', 'GET']);
      expect(lines).toEqual([]);
    }
  });

  test('a caller who ends it while HEAD is asked is not asked for again', async () => {
    const controller = new AbortController();
    const ending: typeof fetch = async (input, init) => {
      if (init?.method === 'HEAD') controller.abort();
      return acrossOrigins(input, init);
    };
    const opened = openHttp(url, context({ fetch: ending, signal: controller.signal }));
    await expect(opened).rejects.toEqual(fails('aborted', /./));
    expect(server.log.filter(({ range }) => range === undefined)).toEqual([]);
  });

  test.each<[number, string, RegExp]>([
    [404, 'model_not_found', /nothing at .*m\.gguf.*404/],
    [410, 'model_not_found', /410/],
    [401, 'access_denied', /refused .*401.*permission/],
    [403, 'access_denied', /refused .*403.*permission/],
    [418, 'download_failed', /418/],
  ])('HTTP %i is final', async (status, code, message) => {
    file.faults = { status };
    await expect(openHttp(url, context())).rejects.toEqual(fails(code, message));
    expect(server.log).toHaveLength(1);
  });

  test('a busy server is asked again, as late as it says, and given up in the end', async () => {
    file.faults = { status: 503, statusCount: 2, retryAfter: '3' };
    expect((await openHttp(url, context())).size).toBe(SIZE);
    expect(delays).toEqual([3000, 3000]);
    file.faults = { status: 500 };
    await expect(openHttp(url, context())).rejects.toEqual(fails('download_failed', /HTTP 500.*3 tries/));
    expect(delays.slice(2)).toEqual([500, 1000]);
  });

  test('an unreachable server, or one without CORS, is explained', async () => {
    await server.close();
    await expect(openHttp(url, context())).rejects.toEqual(fails('download_failed', /network failed.*CORS/));
    server = await startFileServer();
  });

  test('a file without a size is refused', async () => {
    const sizeless: typeof fetch = async () => new Response('GGUF');
    await expect(openHttp(url, context({ fetch: sizeless }))).rejects.toEqual(fails('download_failed', /size/));
  });
});

describe('reading a range', () => {
  test('gives exactly the bytes asked for, and counts them as they come', async () => {
    const counted: [number, number][] = [];
    const remote = await openHttp(url, context({ onBytes: (offset, length) => counted.push([offset, length]) }));
    for (const [offset, length] of [[0, 1], [999_983, 20], [12_345, 777_777], [5, 0]] as const) {
      counted.length = 0;
      expect(firstDifference(await remote.read(offset, length), content.slice(offset, offset + length))).toBe(-1);
      let at = offset;
      for (const [start, count] of counted) {
        expect(start).toBe(at);
        at += count;
      }
      expect(at).toBe(offset + length);
    }
    await expect(remote.read(SIZE - 1, 2)).rejects.toEqual(fails('internal', /outside/));
    await expect(remote.read(-1, 2)).rejects.toEqual(fails('internal', /outside/));
  });

  test('a cut connection is taken up where it broke, as long as it gets on', async () => {
    const remote = await openHttp(url, context());
    file.faults = { cutAfter: 100_000 };
    server.log.length = 0;
    expect(firstDifference(await remote.read(0, SIZE), content)).toBe(-1);
    expect(server.log.map((entry) => entry.range)).toEqual(
      Array.from({ length: 11 }, (_, index) => `bytes=${index * 100_000}-${SIZE - 1}`),
    );
  });

  test('a connection that brings nothing more is given up', async () => {
    const remote = await openHttp(url, context());
    file.faults = { cutAfter: 0 };
    await expect(remote.read(0, 1000)).rejects.toEqual(fails('download_failed', /4 tries/));
  });

  test('a body that ends too soon without an error is taken up, too', async () => {
    let isShort = true;
    const shortening: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      const body = new Uint8Array(await response.arrayBuffer());
      return new Response(isShort ? body.slice(0, 70_000) : body, response);
    };
    const remote = await openHttp(url, context({ fetch: shortening }));
    expect(firstDifference(await remote.read(0, SIZE), content)).toBe(-1);
    isShort = false;
    file.faults = { ignoreRange: true };
    const whole = await openHttp(url, context({ fetch: shortening }));
    isShort = true;
    await expect(collect(whole.stream())).rejects.toEqual(fails('download_failed', /ended after 70000 of/));
  });

  test('a silent server is given up and asked again', async () => {
    const remote = await openHttp(url, context({ idleTimeoutMs: 300 }));
    file.faults = { stallAfter: 600_000 };
    expect(firstDifference(await remote.read(0, SIZE), content)).toBe(-1);
    expect(lines).toContainEqual(expect.stringMatching(/nothing for 300 ms/));
  });

  test('a file that changes midway is noticed, even at the same size', async () => {
    const remote = await openHttp(url, context());
    file.content = seededBytes(SIZE, 2);
    await expect(remote.read(0, 10)).rejects.toEqual(fails('download_failed', /changed on its server/));
    file.content = content;
    expect(await remote.read(0, 10)).toEqual(content.slice(0, 10));
    file.content = content.slice(0, 5);
    await expect(remote.read(100, 10)).rejects.toEqual(fails('download_failed', /changed on its server/));
  });

  test('a changed size is noticed where there is no ETag', async () => {
    file.faults = { noValidators: true };
    const remote = await openHttp(url, context());
    file.content = seededBytes(SIZE + 1);
    await expect(remote.read(0, 10)).rejects.toEqual(fails('download_failed', /changed on its server/));
  });

  test('an answer about other bytes is refused', async () => {
    const remote = await openHttp(url, context());
    file.faults = { wrongRange: true };
    await expect(remote.read(0, 10)).rejects.toEqual(fails('download_failed', /bytes 0-9 with 'bytes 1-10/));
  });

  test('a server that sends more than was asked for is not believed', async () => {
    let surplus = 0;
    const generous = async (...asked: Parameters<typeof fetch>): Promise<Response> => {
      const response = await fetch(...asked);
      const { status, headers } = response;
      return new Response(new Blob([await response.arrayBuffer(), new Uint8Array(surplus)]), { status, headers });
    };
    const remote = await openHttp(url, context({ fetch: generous }));
    surplus = 5;
    await expect(remote.read(0, 1000)).rejects.toEqual(fails('download_failed', /sent more than the 1000 bytes/));
  });

  test('a server that stops serving ranges is asked again', async () => {
    const remote = await openHttp(url, context());
    file.faults = { ignoreRange: true };
    await expect(remote.read(0, 10)).rejects.toEqual(fails('download_failed', /came whole/));
  });

  test('the caller can end it, while it waits and while bytes come', async () => {
    const controller = new AbortController();
    const remote = await openHttp(url, context({ signal: controller.signal }));
    file.faults = { stallAfter: 1000 };
    const reading = remote.read(0, SIZE);
    setTimeout(() => controller.abort(), 30);
    await expect(reading).rejects.toEqual(fails('aborted', /./));
    await expect(remote.read(0, 1)).rejects.toEqual(fails('aborted', /./));
    expect(lines).toEqual([]);
  });
});

describe('streaming the whole', () => {
  test('takes up a lost connection without repeating a byte', async () => {
    file.faults = { ignoreRange: true };
    const remote = await openHttp(url, context());
    file.faults = { ignoreRange: true, cutAfter: 300_000, cutCount: 2 };
    expect(firstDifference(await collect(remote.stream()), content)).toBe(-1);
    expect(delays).toEqual([500, 1000]);
  });

  test('gives up when it never gets further', async () => {
    file.faults = { ignoreRange: true };
    const remote = await openHttp(url, context());
    file.faults = { ignoreRange: true, cutAfter: 300_000 };
    await expect(collect(remote.stream())).rejects.toEqual(fails('download_failed', /4 tries/));
  });

  test('notices another version', async () => {
    file.faults = { ignoreRange: true };
    const remote = await openHttp(url, context());
    file.content = seededBytes(SIZE, 2);
    await expect(collect(remote.stream())).rejects.toEqual(fails('download_failed', /changed on its server/));
  });

  test('a slow reader is not taken for a silent server', async () => {
    file.faults = { ignoreRange: true };
    file.content = content.slice(0, 200_000);
    const remote = await openHttp(url, context({ idleTimeoutMs: 300 }));
    let received = 0;
    for await (const piece of remote.stream()) {
      received += piece.length;
      await new Promise((resolve) => setTimeout(resolve, 450));
    }
    expect(received).toBe(200_000);
    expect(lines).toEqual([]);
  });

  test('a reader that stops ends the request', async () => {
    file.faults = { ignoreRange: true };
    file.content = seededBytes(64 * 1024 * 1024);
    const remote = await openHttp(url, context());
    for await (const piece of remote.stream()) if (piece.length > 0) break;
    expect(server.bytesSent()).toBeLessThan(32 * 1024 * 1024);
  });
});

describe('the version of a file that is stored', () => {
  test('is told without a byte', async () => {
    const { version } = await openHttp(url, context());
    server.log.length = 0;
    expect(await askVersion(url, context())).toEqual(version);
    expect(server.log).toMatchObject([{ method: 'HEAD', bytesSent: 0 }]);
  });

  test.each([403, 405, 501])('is told by GET where HEAD is answered with %i', async (headStatus) => {
    const { version } = await openHttp(url, context());
    file.faults = { headStatus };
    server.log.length = 0;
    expect(await askVersion(url, context())).toEqual(version);
    expect(server.log).toMatchObject([{ method: 'HEAD' }, { method: 'GET', range: 'bytes=0-0', bytesSent: 1 }]);
    expect(lines).toEqual([]);
  });

  test('is at least a size, where all else is hidden', async () => {
    file.faults = { headStatus: 403 };
    expect(await askVersion(url, context({ fetch: acrossOrigins }))).toMatchObject({ size: SIZE });
    expect(server.log.map(({ method, range }) => `${method} ${range}`)).toEqual(
      ['HEAD bytes=0-0', 'GET bytes=0-0', 'GET undefined'],
    );
  });

  test('is not waited for twice, and its absence is no error', async () => {
    file.faults = { status: 403 };
    expect(await askVersion(url, context())).toBeUndefined();
    expect(lines).toEqual([expect.stringMatching(/Could not check.*403/)]);
    let asked = 0;
    const silent: typeof fetch = (_input, init) => {
      asked++;
      return new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))));
    };
    expect(await askVersion(url, context({ fetch: silent, idleTimeoutMs: 20 }))).toBeUndefined();
    expect(asked).toBe(1);
  });
});
