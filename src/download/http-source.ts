import { TabserveError } from '../core/errors.ts';
import { freeBuffer } from '../core/free-buffer.ts';
import { checkRange } from '../core/byte-source.ts';
import type { ByteSource } from '../core/byte-source.ts';
import { checkFileSize } from '../core/file-size.ts';
import { askSize } from './ask-version.ts';
import { exchange } from './http-request.ts';
import type { HttpContext, HttpExchange } from './http-request.ts';
import { modelName } from './model-name.ts';
import { isSameVersion, responseVersion } from '../storage/remote-version.ts';
import type { RemoteVersion } from '../storage/remote-version.ts';
import { TransientFault, withRetries } from './retry.ts';

/** A file behind a URL. `read` works only where `isRanged`; `stream` works anywhere. */
export interface RemoteFile extends ByteSource {
  readonly version: RemoteVersion;
  /** Whether the server serves ranges. */
  readonly isRanged: boolean;
  /** The whole file from its start, once, in chunks. A lost connection is resumed where it broke. */
  stream(): AsyncGenerator<Uint8Array<ArrayBuffer>>;
}

/** A page that is not allowed to read the file sees a network error, so there are few attempts. */
const PROBE_ATTEMPTS = 3;

/** The address of a file. */
interface Address {
  /** The URL to fetch, signature included. */
  readonly url: string;
  /** Its name in messages. */
  readonly name: string;
}

export interface OpenHttpOptions {
  /** The known version of the file. The server need not state it, but must not contradict it. */
  readonly known?: RemoteVersion;
  /** Checks the file's first bytes, before any is stored, and throws where they are not those of a model. */
  readonly checkStart?: (start: Uint8Array, contentType: string) => void;
}

/** Enough to recognise a GGUF file. */
const MAGIC_BYTES = 4;
/** Enough to recognise other types. */
const START_BYTES = 64;
const PROBE_RANGE = `bytes=0-${START_BYTES - 1}`;

/**
 * Asks a server for a file's size and whether it serves ranges, with a request for its first bytes.
 *
 * @throws TabserveError `model_not_found`, `access_denied`, `download_failed`, `aborted`, `out_of_memory` for a size
 *   above the limit, and what `checkStart` throws
 */
export async function openHttp(url: string, context: HttpContext, options: OpenHttpOptions = {}): Promise<RemoteFile> {
  const at: Address = { url, name: modelName(url) };
  const retries = { ...context.retries, attempts: Math.min(PROBE_ATTEMPTS, context.retries.attempts) };
  const probed = withRetries(retries, context.signal, context.log, () => probe(at, context, options));
  const { version, isRanged } = await probed.catch(async (error: unknown) => {
    throw (await isBarred(url, error, context)) ? barred(at) : error;
  });
  return {
    id: at.name,
    size: version.size,
    version,
    isRanged,
    read: (offset, length) => readRange(at, version, offset, length, context),
    stream: () => streamWhole(at, version, context),
  };
}

/**
 * Whether requests failed because of CORS, which a browser does not distinguish from a failed network. A `no-cors`
 * request succeeds all the same.
 */
async function isBarred(url: string, error: unknown, { fetch, signal, idleTimeoutMs }: HttpContext): Promise<boolean> {
  const fault = error instanceof TabserveError ? error.cause : undefined;
  if (!(fault instanceof TransientFault && fault.isUnanswered) || typeof location === 'undefined' || new URL(url).origin === location.origin) return false;
  const isAnswered = async (method: string): Promise<boolean> => {
    const done = new AbortController();
    const timeout = AbortSignal.timeout(Math.min(idleTimeoutMs, 4000));
    const ended = AbortSignal.any([done.signal, timeout, ...(signal === undefined ? [] : [signal])]);
    const init: RequestInit = { method, mode: 'no-cors', cache: 'no-store', credentials: 'omit', signal: ended };
    return fetch(url, init).then(({ type }) => type === 'opaque', () => false).finally(() => done.abort());
  };
  return (await isAnswered('HEAD')) || isAnswered('GET'); // some servers drop the connection of a HEAD
}

function barred(at: Address): TabserveError {
  const remedy = 'Load the model from a server that allows it, or download the file and open it here';
  const why = 'it does not let pages of other sites read its files (CORS)';
  return new TabserveError('download_failed', `The server of ${at.name} answers, but ${why}. ${remedy}.`);
}

type Probed = Pick<RemoteFile, 'version' | 'isRanged'>;

async function probe(at: Address, context: HttpContext, { known, checkStart }: OpenHttpOptions): Promise<Probed> {
  const first = await exchange(at.url, { method: 'GET', range: PROBE_RANGE }, context);
  const { headers, status } = first.response;
  const isRanged = status === 206;
  const stated = responseVersion(first.response);
  try {
    const start = await readStart(first, isRanged);
    if (start.length < Math.min(MAGIC_BYTES, stated.size ?? 0)) throw new TransientFault(`${at.name} ended at its start.`);
    checkStart?.(start, headers.get('content-type') ?? '');
  } finally {
    first.cancel();
  }
  if (known !== undefined) {
    if (stated.size === undefined || stated.size === known.size) return { version: known, isRanged };
    throw unfaithful(at, `has ${stated.size} bytes where the hub says ${known.size}`);
  }
  const size = stated.size ?? (await askSize(at.url, context));
  checkFileSize(at.name, size);
  return { version: { ...stated, size }, isRanged };
}

/** The first bytes of a body; all of it where it is short, because that keeps the connection alive. */
async function readStart(body: HttpExchange, isShort: boolean): Promise<Uint8Array> {
  let start = new Uint8Array();
  try {
    for await (const chunk of body.chunks()) {
      start = Uint8Array.of(...start, ...chunk.subarray(0, START_BYTES - start.length));
      if (!isShort && start.length >= START_BYTES) break;
    }
  } catch (error) {
    if (start.length < MAGIC_BYTES || !(error instanceof TransientFault)) throw error;
  }
  return start;
}

async function readRange(
  at: Address,
  version: RemoteVersion,
  offset: number,
  length: number,
  context: HttpContext,
): Promise<Uint8Array<ArrayBuffer>> {
  checkRange(at.name, version.size, offset, length);
  const bytes = new Uint8Array(length);
  if (length === 0) return bytes;
  let received = 0;
  const attempt = async (): Promise<void> => {
    const start = offset + received;
    const end = offset + length - 1;
    const part = await exchange(at.url, { method: 'GET', range: `bytes=${start}-${end}` }, context);
    try {
      checkPart(at, version, part, start, end);
      for await (const chunk of part.chunks()) {
        if (received + chunk.length > length) throw unfaithful(at, `sent more than the ${length} bytes asked for`);
        bytes.set(chunk, received);
        const { buffer, length: arrived } = chunk;
        context.onBytes(offset + received, arrived);
        received += arrived;
        if (arrived === buffer.byteLength) freeBuffer(buffer);
      }
    } catch (error) {
      // A body that is shorter than announced fails at its end, when all requested bytes have arrived.
      if (received < length || !(error instanceof TransientFault)) throw error;
    } finally {
      part.cancel();
    }
    if (received < length) throw new TransientFault(`${at.name} ended after ${received} of ${length} bytes.`);
  };
  await withRetries(context.retries, context.signal, context.log, attempt, () => Math.floor(received / 65_536));
  return bytes;
}

/**
 * Refuses an answer that is not the requested range, or of another version of the file. (With If-Range the server would
 * check the version, but across origins that header needs a preflight.)
 */
function checkPart(at: Address, version: RemoteVersion, part: HttpExchange, start: number, end: number): void {
  const { response } = part;
  checkVersion(at, version, response);
  if (response.status === 200) throw new TransientFault(`${at.name} came whole where a range was asked for.`);
  if (response.status !== 206) throw unfaithful(at, `answered a range with HTTP ${response.status}`);
  const range = response.headers.get('content-range');
  if (range !== null && !range.startsWith(`bytes ${start}-${end}/`)) {
    throw unfaithful(at, `answered bytes ${start}-${end} with '${range}'`);
  }
}

function checkVersion(at: Address, version: RemoteVersion, response: Response): void {
  if (response.status === 416 || !isSameVersion(version, responseVersion(response))) {
    const message = `${at.name} changed on its server while it was being loaded; load it again.`;
    throw new TabserveError('download_failed', message);
  }
}

async function* streamWhole(
  at: Address,
  version: RemoteVersion,
  context: HttpContext,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let delivered = 0;
  let current: AsyncGenerator<Uint8Array<ArrayBuffer>> | undefined;
  /** The next chunk that has not been delivered. Opens the connection (again) where there is none. */
  const next = async (): Promise<Uint8Array<ArrayBuffer> | undefined> => {
    try {
      current ??= skip(await openWhole(at, version, context), delivered);
      const { done, value } = await current.next();
      if (done !== true) return value;
    } catch (error) {
      current = undefined;
      throw error;
    }
    current = undefined;
    if (delivered < version.size) throw new TransientFault(`${at.name} ended after ${delivered} of ${version.size} bytes.`);
    return undefined;
  };
  try {
    for (;;) {
      const chunk = await withRetries(context.retries, context.signal, context.log, next);
      if (chunk === undefined) return;
      context.onBytes(delivered, chunk.length);
      delivered += chunk.length;
      if (delivered > version.size) throw unfaithful(at, `sent more than its ${version.size} bytes`);
      yield chunk;
    }
  } finally {
    await current?.return(undefined);
  }
}

async function openWhole(at: Address, version: RemoteVersion, context: HttpContext): Promise<HttpExchange> {
  // A range of everything: as in the probe, it makes the browser request the file unencoded.
  const whole = await exchange(at.url, { method: 'GET', range: 'bytes=0-' }, context);
  try {
    checkVersion(at, version, whole.response);
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

function unfaithful(at: Address, what: string): TabserveError {
  return new TabserveError('download_failed', `The server of ${at.name} ${what}; load it from another place.`);
}
