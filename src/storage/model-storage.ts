import { cacheKeyOf, isManifest } from './cache-manifest.ts';
import type { CacheManifest } from './cache-manifest.ts';
import { type PartStorage, removeKept, sweep } from './part-storage.ts';

/** The storage of model files between visits. */
export type ModelStorage = PartStorage<CacheManifest>;

/** The cached part of one version of a model. */
export interface CachedModel {
  /**
   * The key that it is stored under, without signature or secret, for `deleteModel`: for a model from the hub the URL
   * at its commit, for one loaded with a `cacheKey` a name made of that.
   */
  readonly url: string;
  /**
   * The name that it was requested by. Without a `cacheKey` it is a URL that `createClient` takes; one that needs a
   * signature is loaded by it if all of its file is stored. Two versions of a model have the same name.
   */
  readonly name: string;
  /** The `cacheKey` that it was loaded with, to be passed again with a URL. */
  readonly cacheKey?: string;
  readonly size: number;
  /** Bytes that are stored. */
  readonly bytesCached: number;
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
}

/** The cached models, the last used first. */
export async function listModels(storage: ModelStorage): Promise<readonly CachedModel[]> {
  const manifests = await storage.listManifests();
  return manifests
    .filter(isManifest)
    .map(({ url, name = url, version, partBytes, parts, lastUsed }) => {
      const bytesOf = (hash: string | null, index: number): number =>
        hash === null ? 0 : Math.min(partBytes, version.size - index * partBytes);
      const bytesCached = parts.map(bytesOf).reduce((a, b) => a + b, 0);
      const cacheKey = cacheKeyOf(name);
      return { url, name, size: version.size, bytesCached, lastUsed, ...(cacheKey === undefined ? {} : { cacheKey }) };
    })
    .toSorted((a, b) => b.lastUsed - a.lastUsed);
}

/** Deletes the cached parts of a model, after a part that is being written; `url` as {@link listModels} gives it. */
export async function removeModel(url: string, storage: ModelStorage): Promise<void> {
  await removeKept(storage, url);
}

/** Deletes what {@link listModels} does not list: parts without a manifest, and invalid manifests. */
export async function sweepModels(storage: ModelStorage): Promise<void> {
  await sweep(storage, (manifest, url) => isManifest(manifest) && manifest.url === url);
}
