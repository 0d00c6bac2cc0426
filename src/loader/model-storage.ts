import type { CacheManifest } from './cache-manifest.ts';
import type { PartStorage } from './part-storage.ts';

/** Where model files are kept between visits. */
export type ModelStorage = PartStorage<CacheManifest>;

/** What is cached of a model. */
export interface CachedModel {
  readonly url: string;
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
    .map(({ url, version, partBytes, parts, lastUsed }) => {
      const bytesOf = (hash: string | null, index: number): number =>
        hash === null ? 0 : Math.min(partBytes, version.size - index * partBytes);
      return { url, size: version.size, bytesCached: parts.map(bytesOf).reduce((a, b) => a + b, 0), lastUsed };
    })
    .toSorted((a, b) => b.lastUsed - a.lastUsed);
}

/** Deletes what is cached of a model; `url` as {@link listModels} gives it. */
export async function removeModel(url: string, storage: ModelStorage): Promise<void> {
  await storage.remove(url);
}
