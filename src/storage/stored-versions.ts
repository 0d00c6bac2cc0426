import { isComplete, isManifest, isVersionOf } from './cache-manifest.ts';
import type { CacheManifest, FileVersion } from './cache-manifest.ts';
import type { ModelStorage } from './model-storage.ts';
import { removeKept } from './part-storage.ts';
import { isSameVersion } from './remote-version.ts';
import type { RemoteVersion } from './remote-version.ts';

/** The stored and usable versions of a file: whole ones first, then the last used. */
export async function findVersions(
  storage: ModelStorage,
  name: string,
  partBytes: number,
): Promise<readonly CacheManifest[]> {
  const manifests = (await storage.listManifests()).filter(isManifest);
  const isOf = (each: CacheManifest): boolean => isVersionOf(each, name) && each.partBytes === partBytes;
  const rank = (each: CacheManifest): number => (isComplete(each) ? 0 : 1);
  return manifests.filter(isOf).toSorted((a, b) => rank(a) - rank(b) || b.lastUsed - a.lastUsed);
}

/** Where a version will be stored, and the versions that it replaces. */
export interface Place {
  readonly file: FileVersion;
  /** Its stored manifest, if any. */
  readonly stored: CacheManifest | undefined;
  /** Other whole versions. They are deleted when this one is whole. */
  readonly superseded: readonly CacheManifest[];
}

/**
 * Decides where the server's version is stored: beside earlier whole versions, so that one of them can still be loaded
 * while the new one is incomplete. Stored parts of versions that never became whole are deleted.
 */
export async function placeVersion(
  stored: readonly CacheManifest[],
  remote: { readonly id: string; readonly version: RemoteVersion },
  { storage, ...asked }: Pick<FileVersion, 'partBytes' | 'lastUsed'> & { name: string; storage: ModelStorage | undefined },
): Promise<Place> {
  const same = stored.find(({ version }) => isSameVersion(version, remote.version));
  const others = stored.filter((each) => each !== same);
  if (storage !== undefined) for (const each of others.filter((other) => !isComplete(other))) await removeSeen(storage, each);
  const superseded = others.filter(isComplete);
  if (same !== undefined) return { file: { ...same, lastUsed: asked.lastUsed }, stored: same, superseded };
  const { id, version } = remote;
  // No file is fetched from a URL with a fragment.
  const url = superseded.some((each) => each.url === id) ? `${id}#${versionTag(version)}` : id;
  return { file: { ...asked, url, version }, stored: undefined, superseded };
}

/**
 * Deletes a version that is no longer needed, unless another worker has changed it meanwhile. If storage refuses, it
 * stays.
 */
export async function removeSeen(storage: ModelStorage, seen: CacheManifest): Promise<void> {
  const isAsSeen = (stored: CacheManifest | undefined): boolean =>
    isManifest(stored) && isSameVersion(stored.version, seen.version) && isComplete(stored) === isComplete(seen);
  await removeKept(storage, seen.url, isAsSeen).catch(() => {});
}

function versionTag({ oid, etag, lastModified, size }: RemoteVersion): string {
  return encodeURIComponent(oid ?? etag ?? lastModified ?? String(size));
}
