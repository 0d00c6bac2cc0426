import { hideQuery, TabserveError } from '../core/errors.ts';
import type { HubSettings } from '../core/protocol.ts';
import { modelName } from './model-name.ts';

/** Where to fetch a model file. */
export interface ModelUrl {
  /** Absolute, `http:` or `https:`, without fragment: the URL to fetch, signature included. */
  readonly url: string;
  /** The name in messages and in the cache: see {@link modelName}. */
  readonly name: string;
  /** Whether the URL contains a commit, so that its bytes can never change. */
  readonly isPinned: boolean;
  /** Set where it was given by its hub name. */
  readonly hub?: HubFile;
}

/** A file's address on its hub. */
export interface HubFile {
  /** Without a trailing slash. */
  readonly endpoint: string;
  /** `owner/name`. */
  readonly repo: string;
  readonly path: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

export const HUB = 'https://huggingface.co';
const HUB_NAME = /^hf:(?<owner>[^/@\s]+)\/(?<repo>[^/@\s]+)\/(?<rest>.+)$/i;
/** A file's page on the hub. With `resolve` in place of `blob`, the URL is the file's. */
const HUB_PAGE = /^(https:\/\/huggingface\.co\/[^/]+\/[^/]+)\/blob\//;
const PINNED = /^https:\/\/huggingface\.co\/[^/]+\/[^/]+\/resolve\/[0-9a-f]{40}\//;
const COMMIT = /^[0-9a-f]{40}$/;

/**
 * The URL of a model's name: an `https:`, `http:` or `hf:owner/repo/file.gguf[@revision]` URL, or a path.
 *
 * @param baseUrl the base of relative paths: the page's or the worker's URL
 * @param endpoint the hub of hub names; without a trailing slash
 * @throws TabserveError `invalid_request` with `param` `model`
 */
export function resolveModelUrl(source: string, baseUrl: string, endpoint = HUB): ModelUrl {
  const name = source.trim();
  if (name === '') throw invalid('it is empty');
  if (/^hf:/i.test(name)) return hubUrl(name, endpoint);
  let url: URL;
  try {
    url = new URL(name, baseUrl);
  } catch (cause) {
    throw invalid(`'${hideQuery(name)}' is not a URL`, cause);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalid(`'${url.protocol}' URLs cannot be loaded`);
  if (url.username !== '' || url.password !== '') throw invalid('a URL must not carry a user name or password');
  url.hash = '';
  const href = url.href.replace(HUB_PAGE, '$1/resolve/');
  return { url: href, name: modelName(href), isPinned: PINNED.test(href) };
}

/** The URL of a hub's file at a revision. */
export function hubFileUrl({ endpoint, repo, path, revision }: HubFile): string {
  const encode = (text: string): string => text.split('/').map(encodeURIComponent).join('/');
  return `${endpoint}/${encode(repo)}/resolve/${encodeURIComponent(revision)}/${encode(path)}`;
}

/**
 * A hub's address, validated.
 *
 * @throws TabserveError `invalid_request` with `param` `hub`
 */
export function hubEndpoint({ endpoint = HUB, token }: HubSettings): string {
  const refused = (message: string): TabserveError => new TabserveError('invalid_request', message, { param: 'hub' });
  const bad = (why: string): TabserveError => refused(`\`hub.endpoint\` ${why}; give an https: URL such as ${HUB}.`);
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw refused('`hub.token` is not a token: it contains invalid characters.');
  if (!URL.canParse(endpoint)) throw bad('is not a URL');
  const { protocol, hostname, username, password, origin, pathname } = new URL(endpoint);
  if (protocol !== 'https:' && protocol !== 'http:') throw bad('is not a web address');
  if (username !== '' || password !== '') throw bad('must not carry a user name or password');
  if (token !== undefined && protocol === 'http:' && !isLoopback(hostname)) throw bad('would get the token unencrypted');
  return (origin + pathname).replace(/\/+$/, '');
}

/** Whether a URL's host is this machine. The whole name decides, since anyone may own `127.0.0.1.example.com`. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || /^(127(\.\d+){3}|\[::1\])$/.test(hostname);
}

function hubUrl(name: string, endpoint: string): ModelUrl {
  const { owner, repo, rest = '' } = HUB_NAME.exec(name)?.groups ?? {};
  const { file, revision = 'main' } = splitRevision(rest);
  const segments = file.split('/');
  // The URL parser would resolve a dot segment, and the URL would name another file.
  const hasBadPart = [owner ?? '', repo ?? '', revision, ...segments].some(isEmptyOrDots) || /\s/.test(revision);
  if (owner === undefined || repo === undefined || hasBadPart) {
    throw invalid(`'${name}' does not read hf:owner/repo/file.gguf or hf:owner/repo/file.gguf@revision`);
  }
  const hub = { endpoint, repo: `${owner}/${repo}`, path: file, revision };
  const url = hubFileUrl(hub);
  return { url, name: url, isPinned: COMMIT.test(revision), hub };
}

/**
 * A path in a repository, and the revision after it. File names and revisions may both contain an `@`, so the revision
 * begins after the last `@` that follows a `.gguf`. A name that ends in `.gguf` otherwise has none. For any other name,
 * it begins after the last `@`.
 */
function splitRevision(text: string): { readonly file: string; readonly revision: string | undefined } {
  const lower = text.toLowerCase();
  const ending = lower.lastIndexOf('.gguf@');
  if (ending < 0 && lower.endsWith('.gguf')) return { file: text, revision: undefined };
  const at = ending < 0 ? text.lastIndexOf('@') : ending + '.gguf'.length;
  return at < 0 ? { file: text, revision: undefined } : { file: text.slice(0, at), revision: text.slice(at + 1) };
}

function isEmptyOrDots(segment: string): boolean {
  return segment === '' || segment === '.' || segment === '..';
}

function invalid(why: string, cause?: unknown): TabserveError {
  const allowed = 'give an https: URL, hf:owner/repo/file.gguf[@revision], or a path on this site';
  return new TabserveError('invalid_request', `Not a model: ${why}; ${allowed}.`, { param: 'model', cause });
}
