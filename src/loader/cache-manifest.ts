import type { RemoteVersion } from './remote-version.ts';

/**
 * Bytes of a cached part. Small enough that an interrupted download loses little and that a few fit in memory; large
 * enough that a request a part costs little.
 */
export const PART_BYTES = 8 * 1024 * 1024;

/** What is cached of one version of a model file. A part counts once its hash stands here, after its file is closed. */
export interface CacheManifest {
  /** What it is stored under: see `modelName`. Of a file of the hub's it names the commit. */
  readonly url: string;
  /** What it was asked for by: versions of one file share it. @default its URL */
  readonly name?: string;
  readonly version: RemoteVersion;
  readonly partBytes: number;
  /** The SHA-256 of each part in hexadecimal, null while the part is missing. */
  readonly parts: readonly (string | null)[];
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
  /** Whether the whole has been found to have the SHA-256 that its version states. */
  readonly isVerified?: boolean;
}

type Identity = Pick<CacheManifest, 'url' | 'name' | 'version' | 'partBytes' | 'lastUsed'>;

/** The manifest of a file of which nothing is stored. */
export function newManifest({ url, name = url, version, partBytes, lastUsed }: Identity): CacheManifest {
  const parts = Array<null>(Math.ceil(version.size / partBytes)).fill(null);
  return { url, name, version, partBytes, parts, lastUsed };
}

/** Bytes of the part with this index: the last one may be short. */
export function partLength(manifest: CacheManifest, index: number): number {
  return Math.min(manifest.partBytes, manifest.version.size - index * manifest.partBytes);
}

export function isComplete(manifest: CacheManifest): boolean {
  return manifest.parts.every((hash) => hash !== null);
}

const KEY = 'key:';

/** What a file is kept under that has a `cacheKey`: apart from every URL. */
export function keyName(cacheKey: string): string {
  return KEY + cacheKey;
}

/** The `cacheKey` of what is kept under a name. */
export function cacheKeyOf(name: string): string | undefined {
  return name.startsWith(KEY) ? name.slice(KEY.length) : undefined;
}

/** Whether a manifest is of a version of the file with this name. */
export function isVersionOf(manifest: CacheManifest, name: string): boolean {
  return manifest.url === name || manifest.name === name;
}

/** Whether a value out of the browser's storage, whatever was left there, is a manifest that can be gone on with. */
export function isManifest(value: Partial<CacheManifest> | null | undefined): value is CacheManifest {
  if (typeof value !== 'object' || value === null) return false;
  const { url, version, partBytes, parts, lastUsed } = value;
  if (typeof url !== 'string' || typeof lastUsed !== 'number') return false;
  const size: unknown = version?.size;
  const isCount = (count: unknown): count is number => Number.isSafeInteger(count) && Number(count) >= 0;
  if (!isCount(size) || !isCount(partBytes) || partBytes === 0 || !Array.isArray(parts)) return false;
  const isHash = (hash: unknown): boolean => hash === null || (typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash));
  return parts.length === Math.ceil(size / partBytes) && parts.every(isHash);
}
