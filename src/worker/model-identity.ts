import { settingsOf } from '../core/load-settings.ts';
import type { LoadOptions, ModelAddress } from '../core/protocol.ts';
import { modelName } from '../download/model-name.ts';
import { hubEndpoint, resolveModelUrl } from '../download/model-url.ts';

/** Files without a fingerprint: each is a model of its own. */
const strangers = new WeakMap<File, string>();

/**
 * A key that is equal for two tabs that ask for the same model, and for no others: the `cacheKey`; a hub name's endpoint,
 * repository, revision and path; a URL without its signature; the content of a user's file, since another file may have the
 * same name, size and date.
 */
export function sourceKey({ source, hub, cacheKey, fingerprint }: ModelAddress): string {
  if (typeof source !== 'string') return `file:${fingerprint ?? strangerKey(source)}`;
  if (cacheKey !== undefined) return `key:${cacheKey}`;
  try {
    const model = resolveModelUrl(source, NOWHERE, hubEndpoint(hub ?? {}));
    return `${model.hub === undefined ? 'url' : 'hub'}:${model.name}`;
  } catch {
    return source; // its load will refuse it
  }
}

/** The base of relative URLs, which tabs do not send. */
const NOWHERE = 'about:blank';

/** The name of a model in a request's `model` field, in metrics, messages and logs. It has no secret in it. */
export function modelId({ source, cacheKey }: ModelAddress): string {
  return typeof source === 'string' ? (cacheKey ?? modelName(source)) : source.name;
}

/** The `model` by which another tab joins this one; undefined where that takes a file or a key. */
export function modelUrl({ source, cacheKey }: ModelAddress): string | undefined {
  return typeof source === 'string' && cacheKey === undefined ? modelName(source) : undefined;
}

let numStrangers = 0;

function strangerKey(file: File): string {
  const key = strangers.get(file) ?? `stranger ${++numStrangers}`;
  strangers.set(file, key);
  return key;
}

/** Whether a model loaded with `loaded` has all settings that `wanted` names. */
export function hasSettings(loaded: LoadOptions, wanted: LoadOptions): boolean {
  const settings: Readonly<Record<string, unknown>> = { ...loaded };
  // Plain data, and one may have come from another tab.
  const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  return Object.entries(settingsOf(wanted)).every(([name, value]) => value === undefined || isSame(settings[name], value));
}
