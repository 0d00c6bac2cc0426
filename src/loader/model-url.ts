import { TabserveError } from '../core/errors.ts';

/** Where a model file is to be fetched. */
export interface ModelUrl {
  /** Absolute, `http:` or `https:`, without fragment: also the key it is cached under. */
  readonly url: string;
  /** Whether the URL names a commit, so that its bytes can never change. */
  readonly isPinned: boolean;
}

const HUB = 'https://huggingface.co';
const HUB_NAME = /^hf:(?<owner>[^/@\s]+)\/(?<repo>[^/@\s]+)\/(?<file>[^@]+?)(?:@(?<revision>[^@\s]+))?$/;
/** A file's page on the hub; `resolve` in the place of `blob` is the file itself. */
const HUB_PAGE = /^(https:\/\/huggingface\.co\/[^/]+\/[^/]+)\/blob\//;
const PINNED = /^https:\/\/huggingface\.co\/[^/]+\/[^/]+\/resolve\/[0-9a-f]{40}\//;

/**
 * The URL behind a model's name: an `https:`, `http:` or `hf:owner/repo/file.gguf[@revision]` URL, or a path.
 *
 * @param baseUrl what a path is relative to: the page's or the worker's URL
 * @throws TabserveError `invalid_request` with `param` `model`
 */
export function resolveModelUrl(source: string, baseUrl: string): ModelUrl {
  const name = source.trim();
  if (name === '') throw invalid('it is empty');
  if (name.startsWith('hf:')) return hubUrl(name);
  let url: URL;
  try {
    url = new URL(name, baseUrl);
  } catch (cause) {
    throw invalid(`'${name}' is not a URL`, cause);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalid(`'${url.protocol}' URLs cannot be loaded`);
  if (url.username !== '' || url.password !== '') throw invalid('a URL must not carry a user name or password');
  url.hash = '';
  const href = url.href.replace(HUB_PAGE, '$1/resolve/');
  return { url: href, isPinned: PINNED.test(href) };
}

function hubUrl(name: string): ModelUrl {
  const { owner, repo, file, revision = 'main' } = HUB_NAME.exec(name)?.groups ?? {};
  const segments = file?.split('/') ?? [];
  // A dot segment would be folded away by the URL parser and name a file elsewhere.
  if (owner === undefined || repo === undefined || [owner, repo, revision, ...segments].some(isEmptyOrDots)) {
    throw invalid(`'${name}' does not read hf:owner/repo/file.gguf or hf:owner/repo/file.gguf@revision`);
  }
  const [o, r, v] = [owner, repo, revision].map(encodeURIComponent);
  const url = `${HUB}/${o}/${r}/resolve/${v}/${segments.map(encodeURIComponent).join('/')}`;
  return { url, isPinned: PINNED.test(url) };
}

function isEmptyOrDots(segment: string): boolean {
  return segment === '' || segment === '.' || segment === '..';
}

function invalid(why: string, cause?: unknown): TabserveError {
  const allowed = 'give an https: URL, hf:owner/repo/file.gguf[@revision], or a path on this site';
  return new TabserveError('invalid_request', `Not a model: ${why}; ${allowed}.`, { param: 'model', cause });
}
