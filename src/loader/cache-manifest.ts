import type { RemoteVersion } from './remote-version.ts';

/**
 * Bytes of a cached part. Small enough that an interrupted download loses little and that a few fit in memory; large
 * enough that a request a part costs little.
 */
export const PART_BYTES = 8 * 1024 * 1024;

/** What is cached of one model file. A part counts once its hash stands here, which is after its file is closed. */
export interface CacheManifest {
  readonly url: string;
  readonly version: RemoteVersion;
  readonly partBytes: number;
  /** The SHA-256 of each part in hexadecimal, null while the part is missing. */
  readonly parts: readonly (string | null)[];
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
}

export function newManifest(url: string, version: RemoteVersion, partBytes: number, now: number): CacheManifest {
  const parts = Array<null>(Math.ceil(version.size / partBytes)).fill(null);
  return { url, version, partBytes, parts, lastUsed: now };
}

/** Bytes of the part with this index: the last one may be short. */
export function partLength(manifest: CacheManifest, index: number): number {
  return Math.min(manifest.partBytes, manifest.version.size - index * manifest.partBytes);
}

export function isComplete(manifest: CacheManifest): boolean {
  return manifest.parts.every((hash) => hash !== null);
}

/** Whether a value out of the browser's storage is a manifest that this code wrote and can go on with. */
export function isManifest(value: CacheManifest | undefined, url: string, partBytes: number): value is CacheManifest {
  if (value === undefined || value.url !== url || value.partBytes !== partBytes) return false;
  const { size } = value.version;
  return Number.isSafeInteger(size) && size >= 0 && value.parts.length === Math.ceil(size / partBytes);
}
