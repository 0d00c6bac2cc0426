import { modelName } from '../../src/cache.ts';
import type { ModelSource } from '../../src/index.ts';

/** A model that the user, the address bar or the server chose. */
export interface ModelChoice {
  readonly source: ModelSource;
  /** Its display name. */
  readonly label: string;
  /** Random weights: what it says means nothing. */
  readonly babble: boolean;
}

/** A repository of the hub's, at a branch, a tag or a commit. */
export interface RepositoryName {
  /** `owner/name` */
  readonly id: string;
  readonly revision: string;
}

/** The target of an address: a file, or a repository that may have several. */
export type Address =
  | { readonly kind: 'model'; readonly choice: ModelChoice }
  | { readonly kind: 'repository'; readonly repository: RepositoryName };

/** Random weights in a file of its own beside the page (see test/support/tiny-model.ts, preset `babble`). */
export const BABBLE_MODEL: ModelChoice = { source: 'babble.gguf', label: 'Tiny test model', babble: true };

/** Where hub names are looked up. */
export const HUB = 'https://huggingface.co';
const HUB_FILE = /^hf:[^?#]+\.gguf(?:@[^\s?#]+)?$/i;
const HUB_REPOSITORY = /^(?:hf:)?(?<id>\w[\w.-]*\/[\w.-]+)(?:@(?<revision>[^@\s]+))?\/?$/i;
/** A repository's page, and that of its files. */
const HUB_PAGE = /^(?:https?:\/\/)?(?:www\.)?(?:huggingface|hf)\.co\/(?<id>[\w.-]+\/[\w.-]+)(?:\/tree\/(?<revision>[^/?#\s]+)(?:\/[^?#\s]*)?)?\/?(?:[?#]\S*)?$/i;
export function fileChoice(file: File): ModelChoice {
  return { source: file, label: file.name, babble: false };
}

/** A URL, a same-origin path, a hub name, or a repository's page; `undefined` where it is none of them. */
export function parseAddress(address: string): Address | undefined {
  const given = address.trim();
  const { id, revision } = (/\.gguf$/i.test(given) ? undefined : (HUB_PAGE.exec(given) ?? HUB_REPOSITORY.exec(given))?.groups) ?? {};
  if (id !== undefined) return { kind: 'repository', repository: { id, revision: decoded(revision ?? 'main') } };
  const choice = addressChoice(given);
  return choice && { kind: 'model', choice };
}

/** A URL, a same-origin path or a hub name; `undefined` where it is neither. */
export function addressChoice(address: string): ModelChoice | undefined {
  const source = address.trim().replace(/^hf:/i, 'hf:');
  if (source === BABBLE_MODEL.source) return BABBLE_MODEL;
  const isLike = [HUB_FILE, /^https?:\/\/\S+$/i, /^[./]?[^\s:]+\.gguf$/i].some((form) => form.test(source));
  return isLike && nameOf(source, HUB) !== undefined ? { source, label: labelOf(source), babble: false } : undefined;
}

/** A file of a repository's. */
export function hubChoice({ id, revision }: RepositoryName, path: string): ModelChoice {
  // A revision begins behind `.gguf@`, which a path may have of its own.
  const needsRevision = revision !== 'main' || /\.gguf@/i.test(path);
  return { source: `hf:${id}/${path}${needsRevision ? `@${revision}` : ''}`, label: labelOf(path), babble: false };
}

/** The page of a repository's files. */
export function repositoryPage({ id, revision }: RepositoryName): string {
  return `${HUB}/${id}${revision === 'main' ? '' : `/tree/${encodeURIComponent(revision)}`}`;
}

/** The choice that loads what another tab has loaded, under the name that it has here if it has one. */
export function loadedChoice(source: string, known: readonly ModelChoice[], baseUrl: string): ModelChoice {
  return known.find((choice) => nameOf(choice.source, baseUrl) === source) ?? { source, label: labelOf(source), babble: false };
}

/** The URL under which a model is stored, without secrets; `undefined` of a user's file, and of what no model can be. */
export function nameOf(source: ModelSource, baseUrl: string): string | undefined {
  if (typeof source !== 'string') return undefined;
  try {
    return modelName(source, { baseUrl });
  } catch {
    return undefined;
  }
}

/** The file's name without the ending: what a model is called that nobody has named. */
export function labelOf(source: string): string {
  const path = source.replace(/[?#].*$/s, '').replace(/^(.*\.gguf)@.*$/is, '$1');
  const name = decoded(path.split('/').pop() ?? path).replace(HIDDEN, '').replace(/\.gguf$/i, '');
  return name || path;
}

/** Characters that are not seen, or turn around the text behind them. */
const HIDDEN = /[\p{Cc}\p{Cf}]/gu;

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // a % that stands for itself
  }
}
