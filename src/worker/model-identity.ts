import { settingsOf } from '../core/load-settings.ts';
import type { LoadOptions, ModelAddress } from '../core/protocol.ts';
import { modelName } from '../download/model-name.ts';
import { hubEndpoint, resolveModelUrl } from '../download/model-url.ts';

/** Files that nothing tells from others: each is like no other. */
const strangers = new WeakMap<File, string>();

/**
 * What is the same for two tabs that ask for the same model, and for no others: the `cacheKey`; of a hub name the
 * endpoint, repository, revision and path; of a URL all but its signature; of a user's file its content. Its name, size and
 * date may be another file's as well.
 */
export function sourceKey({ source, hub, cacheKey, fingerprint }: ModelAddress): string {
  if (typeof source !== 'string') return `file:${fingerprint ?? strangerKey(source)}`;
  if (cacheKey !== undefined) return `key:${cacheKey}`;
  try {
    const model = resolveModelUrl(source, NOWHERE, hubEndpoint(hub ?? {}));
    return `${model.hub === undefined ? 'url' : 'hub'}:${model.name}`;
  } catch {
    return source; // what its load will refuse
  }
}

/** Tabs send whole URLs: what is relative is none. */
const NOWHERE = 'about:blank';

/** What a model is called in a request's `model` field, in metrics, messages and logs: no secret is in it. */
export function modelId({ source, cacheKey }: ModelAddress): string {
  return typeof source === 'string' ? (cacheKey ?? modelName(source)) : source.name;
}

/** What another tab gives as its model to join this one; undefined where that takes a file or a key. */
export function modelUrl({ source, cacheKey }: ModelAddress): string | undefined {
  return typeof source === 'string' && cacheKey === undefined ? modelName(source) : undefined;
}

let numStrangers = 0;

function strangerKey(file: File): string {
  const key = strangers.get(file) ?? `stranger ${++numStrangers}`;
  strangers.set(file, key);
  return key;
}

/** Whether a model loaded with `loaded` has the settings that are wanted. Settings that `wanted` leaves open do not matter. */
export function hasSettings(loaded: LoadOptions, wanted: LoadOptions): boolean {
  const settings: Readonly<Record<string, unknown>> = { ...loaded };
  // Plain data, and one may have come from another tab.
  const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  return Object.entries(settingsOf(wanted)).every(([name, value]) => value === undefined || isSame(settings[name], value));
}
