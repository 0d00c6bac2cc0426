import { listFiles, pathsInfo } from '@huggingface/hub';
import { TabserveError } from '../core/errors.ts';
import { checkFileSize } from '../core/file-size.ts';
import { exchange } from './http-request.ts';
import type { ExchangeInit, HttpContext } from './http-request.ts';
import { hubFileUrl } from './model-url.ts';
import type { HubFile } from './model-url.ts';
import type { RemoteVersion } from '../storage/remote-version.ts';
import { TransientFault, withRetries } from './retry.ts';

/** A file at the commit that last changed it. */
export interface PinnedFile {
  /** Contains the commit. */
  readonly url: string;
  readonly version: RemoteVersion;
}

/** A hub's description of one file is a few hundred bytes, that of a repository's files some hundred kilobytes. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
/** The most names that an error for a missing file lists. */
const MAX_NAMES = 12;

/**
 * Asks a hub for the commit of a file's revision, its size and its SHA-256. A branch is pinned to the commit that last
 * changed the file, not to the branch's newest: an edited README does not make a new model.
 *
 * @throws TabserveError `model_not_found` (with the names of the models that are there), `access_denied`,
 *   `download_failed`, `out_of_memory` for a size above the limit, `aborted`
 */
export async function resolveHubFile(file: HubFile, context: HttpContext): Promise<PinnedFile> {
  const { endpoint, repo, path, revision } = file;
  const options = { repo, revision, hubUrl: endpoint, fetch: fetchForHub(context) };
  const [info] = await ask(file, context, () => pathsInfo({ ...options, paths: [path], expand: true }));
  if (info === undefined || info.type !== 'file') {
    const names = await ask(file, context, () => modelNames(listFiles({ ...options, recursive: true })));
    const known = names.length === 0 ? 'It has no GGUF files' : `It has ${names.join(', ')}`;
    throw new TabserveError('model_not_found', `There is no ${path} in ${repo} at ${revision}. ${known}.`);
  }
  const commit = /^[0-9a-f]{40}$/.test(revision) ? revision : info.lastCommit?.id;
  const oid = info.lfs?.oid ?? info.oid;
  const size = info.lfs?.size ?? info.size;
  // This is JSON from a server that claims to be a hub, so the package's types are not guaranteed.
  const isText = (value: unknown): value is string => typeof value === 'string';
  if (!isText(commit) || !isText(oid) || typeof size !== 'number' || !(size >= 0)) throw notAHub(endpoint);
  checkFileSize(`${repo}/${path}`, size);
  if (!Number.isInteger(size)) throw notAHub(endpoint);
  const version = { size, etag: undefined, lastModified: undefined, oid };
  return { url: hubFileUrl({ ...file, revision: commit }), version };
}

async function modelNames(files: AsyncIterable<{ readonly path: string }>): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { path } of files) {
    if (/\.gguf$/i.test(path)) names.push(path);
    if (names.length === MAX_NAMES) return [...names, '...'];
  }
  return names;
}

/** One question to the hub, repeated while it is busy or unreachable. */
async function ask<T>({ endpoint, repo, revision }: HubFile, context: HttpContext, question: () => Promise<T>): Promise<T> {
  try {
    return await withRetries(context.retries, context.signal, context.log, question);
  } catch (error) {
    if (!(error instanceof TabserveError)) throw notAHub(endpoint, error); // invalid JSON, or another shape
    if (error.code !== 'model_not_found') throw error;
    const message = `There is no ${repo}, or no ${revision} of it, at ${endpoint}; check the name.`;
    throw new TabserveError('model_not_found', message, { cause: error });
  }
}

function notAHub(endpoint: string, cause?: unknown): TabserveError {
  const message = `What ${endpoint} answers is not what a hub does; check \`hub.endpoint\`, or give the file's URL.`;
  return new TabserveError('download_failed', message, { cause });
}

/** The `fetch` for the hub's package: with our timeouts, token and errors, and a limit on the answer's size. */
function fetchForHub(context: HttpContext): typeof fetch {
  return async (input, init) => {
    const url = input instanceof Request ? input.url : input.toString();
    const { body, method } = init ?? {};
    const asked: ExchangeInit =
      typeof body === 'string' ? { method: 'POST', body, contentType: 'application/json' } : { method: 'GET' };
    if (method !== undefined && method !== asked.method) throw new TabserveError('internal', `No ${method} to the hub.`);
    const answer = await exchange(url, asked, context);
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let length = 0;
    for await (const chunk of answer.chunks()) {
      length += chunk.length;
      if (length > MAX_ANSWER_BYTES) throw new TransientFault(`The answer of ${url} has no end.`);
      pieces.push(chunk);
    }
    const { status, headers } = answer.response;
    return new Response(new Blob(pieces), { status, headers });
  };
}
