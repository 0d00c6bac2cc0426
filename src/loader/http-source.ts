import { TabserveError } from '../core/errors.ts';
import { freeBuffer } from '../core/free-buffer.ts';
import { checkRange } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { exchange } from './http-request.ts';
import type { HttpContext, HttpExchange } from './http-request.ts';
import { isSameVersion, responseVersion } from './remote-version.ts';
import type { RemoteVersion, StatedVersion } from './remote-version.ts';
import { abortedError, TransientFault, withRetries } from './retry.ts';

/** A file behind a URL. `read` works only where `isRanged`; `stream` works anywhere. */
export interface RemoteFile extends ByteSource {
  readonly version: RemoteVersion;
  /** Whether the server serves ranges. */
  readonly isRanged: boolean;
  /** The whole file from its start, once, in pieces; a lost connection is taken up again where it broke. */
  stream(): AsyncGenerator<Uint8Array<ArrayBuffer>>;
}

/** A page that is not allowed to read the file looks like a network fault: do not let its user wait for long. */
const PROBE_ATTEMPTS = 3;

/**
 * Asks a server for a file's size and whether it serves ranges, with a request for its first byte.
 *
 * @throws TabserveError `model_not_found`, `download_failed`, `aborted`
 */
export async function openHttp(url: string, context: HttpContext): Promise<RemoteFile> {
  const retries = { ...context.retries, attempts: Math.min(PROBE_ATTEMPTS, context.retries.attempts) };
  const probed = await withRetries(retries, context.signal, context.log, () => probe(url, context));
  const { version, isRanged } = probed;
  return {
    id: url,
    size: version.size,
    version,
    isRanged,
    read: (offset, length) => readRange(url, version, offset, length, context),
    stream: () => streamWhole(url, version, context),
  };
}

/** A file's version as its server tells it without sending a byte of it; undefined where it cannot be had. */
export async function headVersion(url: string, context: HttpContext): Promise<StatedVersion | undefined> {
  try {
    // The range makes the browser ask for the file unencoded, as it does when reading it.
    const head = await exchange(url, { method: 'HEAD', range: 'bytes=0-0' }, context);
    head.cancel();
    return responseVersion(head.response);
  } catch (error) {
    if (context.signal?.aborted === true) throw abortedError();
    const why = error instanceof Error ? error.message : String(error);
    context.log(`Could not check whether ${url} has changed: ${why}`);
    return undefined;
  }
}

async function probe(url: string, context: HttpContext): Promise<{ version: RemoteVersion; isRanged: boolean }> {
  const first = await exchange(url, { method: 'GET', range: 'bytes=0-0' }, context);
  const isRanged = first.response.status === 206;
  if (isRanged) for await (const _ of first.chunks()); // one byte: reading it keeps the connection for the next request
  first.cancel();
  const stated = responseVersion(first.response);
  if (stated.size !== undefined) return { version: { ...stated, size: stated.size }, isRanged };
  // Across origins a server must expose Content-Range by name; Content-Length can always be read.
  const head = await exchange(url, { method: 'HEAD' }, context);
  head.cancel();
  const { size } = responseVersion(head.response);
  if (size === undefined) {
    throw new TabserveError('download_failed', `The server of ${url} does not tell the file's size.`);
  }
  return { version: { ...stated, size }, isRanged };
}

async function readRange(
  url: string,
  version: RemoteVersion,
  offset: number,
  length: number,
  context: HttpContext,
): Promise<Uint8Array<ArrayBuffer>> {
  checkRange(url, version.size, offset, length);
  const bytes = new Uint8Array(length);
  if (length === 0) return bytes;
  let received = 0;
  const attempt = async (): Promise<void> => {
    const start = offset + received;
    const end = offset + length - 1;
    const part = await exchange(url, { method: 'GET', range: `bytes=${start}-${end}` }, context);
    try {
      checkPart(url, version, part, start, end);
      for await (const chunk of part.chunks()) {
        if (received + chunk.length > length) throw unfaithful(url, `sent more than the ${length} bytes asked for`);
        bytes.set(chunk, received);
        const { buffer, length: arrived } = chunk;
        context.onBytes(offset + received, arrived);
        received += arrived;
        if (arrived === buffer.byteLength) freeBuffer(buffer);
      }
    } finally {
      part.cancel();
    }
    if (received < length) throw new TransientFault(`${url} ended after ${received} of ${length} bytes.`);
  };
  await withRetries(context.retries, context.signal, context.log, attempt, () => Math.floor(received / 65_536));
  return bytes;
}

/**
 * Refuses an answer that is not the range asked for, or of another version of the file. (If-Range would have the server
 * check the version, but it is no header that a page may send across origins unasked.)
 */
function checkPart(url: string, version: RemoteVersion, part: HttpExchange, start: number, end: number): void {
  const { response } = part;
  checkVersion(url, version, response);
  if (response.status === 200) throw new TransientFault(`${url} came whole where a range was asked for.`);
  if (response.status !== 206) throw unfaithful(url, `answered a range with HTTP ${response.status}`);
  const range = response.headers.get('content-range');
  if (range !== null && !range.startsWith(`bytes ${start}-${end}/`)) {
    throw unfaithful(url, `answered bytes ${start}-${end} with '${range}'`);
  }
}

function checkVersion(url: string, version: RemoteVersion, response: Response): void {
  if (response.status === 416 || !isSameVersion(version, responseVersion(response))) {
    const message = `${url} changed on its server while it was being loaded; load it again.`;
    throw new TabserveError('download_failed', message);
  }
}

async function* streamWhole(
  url: string,
  version: RemoteVersion,
  context: HttpContext,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let delivered = 0;
  let current: AsyncGenerator<Uint8Array<ArrayBuffer>> | undefined;
  /** The next piece that has not been delivered; opens the connection (again) where there is none. */
  const next = async (): Promise<Uint8Array<ArrayBuffer> | undefined> => {
    try {
      current ??= skip(await openWhole(url, version, context), delivered);
      const { done, value } = await current.next();
      if (done !== true) return value;
    } catch (error) {
      current = undefined;
      throw error;
    }
    current = undefined;
    if (delivered < version.size) throw new TransientFault(`${url} ended after ${delivered} of ${version.size} bytes.`);
    return undefined;
  };
  try {
    for (;;) {
      const chunk = await withRetries(context.retries, context.signal, context.log, next);
      if (chunk === undefined) return;
      context.onBytes(delivered, chunk.length);
      delivered += chunk.length;
      if (delivered > version.size) throw unfaithful(url, `sent more than its ${version.size} bytes`);
      yield chunk;
    }
  } finally {
    await current?.return(undefined);
  }
}

async function openWhole(url: string, version: RemoteVersion, context: HttpContext): Promise<HttpExchange> {
  // A range of everything: as in the probe, it makes the browser ask for the file unencoded.
  const whole = await exchange(url, { method: 'GET', range: 'bytes=0-' }, context);
  try {
    checkVersion(url, version, whole.response);
  } catch (error) {
    whole.cancel();
    throw error;
  }
  return whole;
}

/** The chunks of a body after its first `count` bytes. */
async function* skip(body: HttpExchange, count: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let left = count;
  for await (const chunk of body.chunks()) {
    if (left < chunk.length) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}

function unfaithful(url: string, what: string): TabserveError {
  return new TabserveError('download_failed', `The server of ${url} ${what}; try another place to load it from.`);
}
