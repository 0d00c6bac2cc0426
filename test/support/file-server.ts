import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';

/** The faults of a server, while they are in {@link ServedFile.faults}. */
export interface FileFaults {
  /** This status instead of the file, for the next `statusCount` requests (default: all). */
  status?: number;
  statusCount?: number;
  /** Sent as Retry-After with `status`. */
  retryAfter?: string;
  /** The connection is cut after this many bytes of a body, for the next `cutCount` requests (default: all). */
  cutAfter?: number;
  cutCount?: number;
  /** After how many bytes of their bodies, modulo these, the next answers are cut, one each; null: not at all. */
  cuts?: (number | null)[];
  /** Nothing is sent after this many bytes of a body, for the next `stallCount` requests (default: all); the connection stays open. */
  stallAfter?: number;
  stallCount?: number;
  /** Milliseconds between one piece of a body and the next. */
  pauseMs?: number;
  /** Added to the Content-Length that is claimed of a body of over 1000 bytes. */
  contentLengthOff?: number;
  /** Sent as Content-Type. */
  contentType?: string;
  /** An URL that requests are sent on to, with 302. */
  redirectTo?: string;
  /** Range headers are ignored: everything is answered with 200 and the whole. */
  ignoreRange?: boolean;
  /** Content-Range names bytes other than those asked for. */
  wrongRange?: boolean;
  /** No ETag and no Last-Modified. */
  noValidators?: boolean;
  /** No Access-Control-Expose-Headers: a page of another origin sees neither Content-Range nor ETag. */
  hideHeaders?: boolean;
  /** No CORS headers at all. */
  noCors?: boolean;
  /** As of a private bucket of S3's: only a GET that is signed with this (X-Amz-Signature) is answered, anything else with 403. */
  signature?: string;
  /** HEAD is refused with this status. */
  headStatus?: number;
}

/** A request as the server saw it. */
export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  /** The query with its `?`, where there is one. */
  readonly search: string;
  readonly range: string | undefined;
  readonly status: number;
  readonly authorization?: string | undefined;
  /** Bytes of body handed to the connection. */
  readonly bytesSent: number;
}

export interface ServedFile {
  /** Bytes, or the path of a file. May be replaced, which changes the ETag. */
  content: Uint8Array | string;
  faults: FileFaults;
}

/** A server of files on 127.0.0.1 that keeps a log: what a browser downloaded is read off it. */
export interface FileServer {
  readonly origin: string;
  /** The files by path (`/model.gguf`). */
  readonly files: Map<string, ServedFile>;
  /** Finished requests, CORS preflights included, in the order in which they came. */
  readonly log: LoggedRequest[];
  /** Bytes of body sent since the log was last emptied. */
  bytesSent(): number;
  close(): Promise<void>;
}

/** Answers what is not about files: true where it did. */
export type Route = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

export async function startFileServer(
  files: Readonly<Record<string, Uint8Array | string>> = {},
  route?: Route,
): Promise<FileServer> {
  const served = new Map(Object.entries(files).map(([path, content]) => [path, { content, faults: {} } as ServedFile]));
  const log: LoggedRequest[] = [];
  const server = createServer((request, response) => {
    const routed = route === undefined ? Promise.resolve(false) : route(request, response);
    routed
      .then((done) => (done ? undefined : answer(request, response, served, log)))
      .catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files: served,
    log,
    bytesSent: () => log.reduce((sum, { bytesSent }) => sum + bytesSent, 0),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  files: ReadonlyMap<string, ServedFile>,
  log: LoggedRequest[],
): Promise<void> {
  const method = request.method ?? '';
  const { pathname, search, searchParams } = new URL(request.url ?? '', 'http://x');
  const path = decodeURIComponent(pathname);
  const { range: asked, authorization } = request.headers;
  const entry = { method, path, search, range: asked, status: 0, authorization, bytesSent: 0 };
  log.push(entry);
  const file = files.get(path);
  const faults = file?.faults ?? {};
  if (faults.noCors !== true) allowOrigins(response, faults);
  const status = plannedStatus(method, searchParams.get('X-Amz-Signature'), file);
  if (file === undefined || status !== undefined) {
    entry.status = status ?? 404;
    response.writeHead(entry.status, faults.retryAfter === undefined ? {} : { 'Retry-After': faults.retryAfter }).end();
    return;
  }
  if (faults.redirectTo !== undefined) {
    entry.status = 302;
    return void response.writeHead(302, { Location: faults.redirectTo }).end();
  }
  const size = typeof file.content === 'string' ? statSync(file.content).size : file.content.length;
  const range = faults.ignoreRange === true ? undefined : parseRange(request.headers.range, size);
  const { start, end } = range ?? { start: 0, end: size };
  entry.status = range === undefined ? 200 : start < end ? 206 : 416;
  const miscount = end - start > 1000 ? (faults.contentLengthOff ?? 0) : 0;
  const shift = faults.wrongRange === true ? 1 : 0;
  response.writeHead(entry.status, {
    'Content-Type': faults.contentType ?? 'application/octet-stream',
    'Content-Length': end - start + miscount,
    ...(faults.ignoreRange === true ? {} : { 'Accept-Ranges': 'bytes' }),
    ...(entry.status === 206 ? { 'Content-Range': `bytes ${start + shift}-${end - 1 + shift}/${size}` } : {}),
    ...(entry.status === 416 ? { 'Content-Range': `bytes */${size}` } : {}),
    ...(faults.noValidators === true ? {} : { ETag: etag(file.content) }),
  });
  if (method === 'HEAD' || start === end) return void response.end();
  await sendBody(response, file, start, end, entry);
}

async function sendBody(
  response: ServerResponse,
  file: ServedFile,
  start: number,
  end: number,
  entry: { bytesSent: number },
): Promise<void> {
  const { faults, content } = file;
  const cut = nextCut(faults, end - start);
  const stopAfter = cut ?? nextStall(faults);
  const until = stopAfter === undefined ? end : Math.min(end, start + stopAfter);
  const body =
    typeof content === 'string'
      ? createReadStream(content, { start, end: until - 1 })
      : Readable.from(slices(content.subarray(start, until), faults.pauseMs));
  const isCutShort = until < end;
  const isMiscounted = faults.contentLengthOff !== undefined;
  if (until > start) {
    body.on('data', (chunk: Uint8Array) => (entry.bytesSent += chunk.length));
    await pipeline(body, response, { end: !isCutShort && !isMiscounted });
  }
  if (isCutShort && cut === undefined) response.flushHeaders(); // a stall: the client has to give up
  // Half-closing first lets what was sent arrive.
  else if (isCutShort || isMiscounted) response.socket?.end();
}

/** After how many bytes this answer is cut, if it is. */
function nextCut(faults: FileFaults, length: number): number | undefined {
  const listed = faults.cuts?.shift();
  if (faults.cuts !== undefined) return typeof listed === 'number' ? listed % length : undefined;
  const cut = faults.cutAfter;
  if (cut === undefined || cut >= length || faults.cutCount === 0) return undefined;
  if (faults.cutCount !== undefined) faults.cutCount--;
  return cut;
}

function nextStall(faults: FileFaults): number | undefined {
  if (faults.stallAfter === undefined || faults.stallCount === 0) return undefined;
  if (faults.stallCount !== undefined) faults.stallCount--;
  return faults.stallAfter;
}

async function* slices(bytes: Uint8Array, pauseMs = 0): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) {
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    yield bytes.subarray(at, at + 65_536);
  }
}

/** The status that a fault, the method or a missing file asks for; undefined: send the file. */
function plannedStatus(method: string, signature: string | null, file: ServedFile | undefined): number | undefined {
  if (method === 'OPTIONS') return 204;
  if (file === undefined) return 404;
  const { faults } = file;
  if (faults.signature !== undefined && (method !== 'GET' || faults.signature !== signature)) return 403;
  if (method === 'HEAD' && faults.headStatus !== undefined) return faults.headStatus;
  if (faults.status === undefined || faults.statusCount === 0) return undefined;
  if (faults.statusCount !== undefined) faults.statusCount--;
  return faults.status;
}

function allowOrigins(response: ServerResponse, faults: FileFaults): void {
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Allow-Methods', 'GET, HEAD');
  // Range needs no leave; any other header would show as a failed request, as it would on a strict server.
  if (faults.hideHeaders === true) return;
  response.setHeader('Access-Control-Expose-Headers', 'Content-Range, ETag, Retry-After');
}

function parseRange(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(header ?? '') ?? [];
  if (from === undefined) return undefined;
  const start = Math.min(Number(from), size);
  return { start, end: to === undefined || to === '' ? size : Math.min(Number(to) + 1, size) };
}

const etags = new WeakMap<Uint8Array, string>();

/** A strong ETag: of bytes their hash, of a file its size and date. */
function etag(content: Uint8Array | string): string {
  if (typeof content === 'string') {
    const { size, mtimeMs } = statSync(content);
    return `"${size.toString(16)}-${Math.floor(mtimeMs).toString(16)}"`;
  }
  const known = etags.get(content);
  if (known !== undefined) return known;
  const made = `"${createHash('sha256').update(content).digest('hex').slice(0, 16)}"`;
  etags.set(content, made);
  return made;
}
