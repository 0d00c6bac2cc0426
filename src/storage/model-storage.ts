import { cacheKeyOf, isManifest } from './cache-manifest.ts';
import type { CacheManifest } from './cache-manifest.ts';
import { type PartStorage, removeKept, sweep } from './part-storage.ts';

/** Where model files are kept between visits. */
export type ModelStorage = PartStorage<CacheManifest>;

/** What is cached of one version of a model. */
export interface CachedModel {
  /**
   * What it is stored under, without signature or secret: of a model from the hub the URL at its commit, of one that was
   * loaded with a `cacheKey` a name made of that. For `deleteModel`.
   */
  readonly url: string;
  /**
   * What it was asked for by: without a `cacheKey`, a URL that `createClient` takes; one that needs a signature is loaded by
   * it where all of it is here. Two versions of a model have the same.
   */
  readonly name: string;
  /** What it was loaded with as its `cacheKey`, to be given again beside a URL. */
  readonly cacheKey?: string;
  readonly size: number;
  /** How much of it is here. */
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

/** Deletes what is cached of a model, after a part that is being written; `url` as {@link listModels} gives it. */
export async function removeModel(url: string, storage: ModelStorage): Promise<void> {
  await removeKept(storage, url);
}

/** Deletes what {@link listModels} does not show: parts without a manifest, and manifests that are none. */
export async function sweepModels(storage: ModelStorage): Promise<void> {
  await sweep(storage, (manifest, url) => isManifest(manifest) && manifest.url === url);
}
