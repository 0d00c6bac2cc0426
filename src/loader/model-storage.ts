import type { CacheManifest } from './cache-manifest.ts';

/** Where model files are kept between visits. Every method rejects where the browser refuses. */
export interface ModelStorage {
  readManifest(url: string): Promise<CacheManifest | undefined>;
  /** Replaces a manifest by what `change` makes of it, with no other change in between. */
  updateManifest(url: string, change: (manifest: CacheManifest | undefined) => CacheManifest): Promise<void>;
  listManifests(): Promise<readonly CacheManifest[]>;
  /** A part's bytes, undefined where it has no file. */
  readPart(url: string, index: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Resolves when the part's file is closed; a failure leaves no half part behind. */
  writePart(url: string, index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Deletes a model's parts and its manifest, the manifest first. */
  remove(url: string): Promise<void>;
}

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
