import type { CacheAccess } from './model-cache.ts';
import { nameOf, repositoryPage, type ModelChoice, type RepositoryName } from './model-choice.ts';

/** A model, or a repository, that a link names and that is not loaded or asked for unless the user says so. */
export type ModelLink = LinkTarget & {
  /** Where it would be fetched, as `huggingface.co`: in punycode, so that no name looks like another one. */
  readonly host: string;
  /** The URL that would be fetched: ASCII, and without secrets. */
  readonly url: string;
};

type LinkTarget =
  | {
      readonly kind: 'model';
      readonly choice: ModelChoice;
      /** Whether it is an address of this site's that leads to another one, which browsers do not tell. */
      readonly isRedirected: boolean;
    }
  | { readonly kind: 'repository'; readonly repository: RepositoryName };

/** The page's address, the stored models, and the site's redirects. */
export interface ModelPlaces {
  /** A model's path is relative to it. */
  readonly baseUrl: string;
  readonly cache: Pick<CacheAccess, 'list'>;
  /** Whether this site answers for an address of its own with a redirect. */
  readonly isRedirected: (url: string) => Promise<boolean>;
}

/** Whether a model is stored as a whole, or is this site's own: loading it downloads nothing from another host. */
export async function isAtHand({ source }: ModelChoice, { baseUrl, cache }: Pick<ModelPlaces, 'baseUrl' | 'cache'>): Promise<boolean> {
  const name = nameOf(source, baseUrl);
  return name !== undefined && (isOwn(name, baseUrl) || (await isStored(name, cache)));
}

/**
 * Says what to ask the user before a model is loaded that only a link names: anyone can write a link. Undefined where the
 * model is stored, or is the site's own. No other host is asked to find out.
 */
export async function linkTo(choice: ModelChoice, places: ModelPlaces): Promise<ModelLink | undefined> {
  const { source } = choice;
  const { baseUrl, cache } = places;
  const url = nameOf(source, baseUrl);
  if (typeof source !== 'string' || url === undefined || (await isStored(url, cache))) return undefined;
  const isRedirected = isOwn(url, baseUrl) && (await places.isRedirected(new URL(source, baseUrl).href));
  if (isOwn(url, baseUrl) && !isRedirected) return undefined;
  return { kind: 'model', choice, isRedirected, host: new URL(url).host, url };
}

export function linkToRepository(repository: RepositoryName): ModelLink {
  const url = repositoryPage(repository);
  return { kind: 'repository', repository, host: new URL(url).host, url };
}

const isOwn = (url: string, baseUrl: string): boolean => new URL(url).origin === new URL(baseUrl).origin;

async function isStored(name: string, cache: ModelPlaces['cache']): Promise<boolean> {
  const models = await cache.list().catch(() => []);
  return models.some((model) => model.bytesCached === model.size && (model.url === name || model.name === name));
}

/** Whether an address of this site's leads to another one: the browser does not follow it, so no other host is asked. */
export async function isRedirected(url: string): Promise<boolean> {
  const ended = new AbortController();
  try {
    // As the model's first byte is asked for, whose body is not waited for.
    const { type, status } = await fetch(url, { redirect: 'manual', headers: { range: 'bytes=0-0' }, signal: ended.signal });
    return type === 'opaqueredirect' || (status >= 300 && status < 400); // Node shows it as it is
  } catch {
    return false; // its load says why
  } finally {
    ended.abort();
  }
}
