import { MAX_FILE_BYTES } from '../core/file-size.ts';
import type { RemoteVersion } from './remote-version.ts';

/**
 * Bytes of a cached part: small enough that an interrupted download loses little and that several fit in memory, large
 * enough that one request for each part costs little.
 */
export const PART_BYTES = 8 * 1024 * 1024;

/** The number of parts of the largest file. */
const MAX_PARTS = MAX_FILE_BYTES / PART_BYTES;

/**
 * One version of a model file, and its division into parts. It lists no parts, because its size may be a false claim.
 */
export interface FileVersion {
  /** The key that it is stored under: see `modelName`. For a file of a hub it contains the commit. */
  readonly url: string;
  /** The name that it was requested by, which versions of one file share. @default its URL */
  readonly name?: string;
  readonly version: RemoteVersion;
  readonly partBytes: number;
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
}

/**
 * The cached parts of one version of a model file. A part counts once its hash is here, which is set after its file is
 * closed.
 */
export interface CacheManifest extends FileVersion {
  /** The SHA-256 of each part in hexadecimal, null while the part is missing. */
  readonly parts: readonly (string | null)[];
  /** Whether the whole file has been found to have the SHA-256 that its version states. */
  readonly isVerified?: boolean;
}

/** The manifest of a file of which nothing is stored. It allocates the array of parts, so the size must be verified. */
export function newManifest(file: FileVersion): CacheManifest {
  const { url, name = url, version, partBytes, lastUsed } = file;
  return { url, name, version, partBytes, parts: Array<null>(countParts(file)).fill(null), lastUsed };
}

/**
 * A manifest with another part. `isVerified` stays if the part is the same as before.
 *
 * @param hash the part's SHA-256 in hexadecimal
 */
export function withPart({ isVerified = false, ...manifest }: CacheManifest, index: number, hash: string): CacheManifest {
  const isSame = manifest.parts[index] === hash;
  return { ...manifest, parts: manifest.parts.with(index, hash), ...(isVerified && isSame ? { isVerified } : {}) };
}

export function countParts({ version, partBytes }: Pick<FileVersion, 'version' | 'partBytes'>): number {
  return Math.ceil(version.size / partBytes);
}

/** Bytes of the part with this index; the last part may be short. */
export function partLength({ version, partBytes }: FileVersion, index: number): number {
  return Math.min(partBytes, version.size - index * partBytes);
}

export function isComplete(manifest: CacheManifest): boolean {
  return manifest.parts.every((hash) => hash !== null);
}

const KEY = 'key:';

/** The key of a file with a `cacheKey`. It differs from every URL. */
export function keyName(cacheKey: string): string {
  return KEY + cacheKey;
}

/** The `cacheKey` of a key made by {@link keyName}. */
export function cacheKeyOf(name: string): string | undefined {
  return name.startsWith(KEY) ? name.slice(KEY.length) : undefined;
}

/** Whether a manifest is of a version of the file with this name. */
export function isVersionOf(manifest: FileVersion, name: string): boolean {
  return manifest.url === name || manifest.name === name;
}

/**
 * Whether a value from the browser's storage, which may hold anything, is a usable manifest. One that is larger than
 * any model, or verified but not whole, is not.
 */
export function isManifest(value: Partial<CacheManifest> | null | undefined): value is CacheManifest {
  if (typeof value !== 'object' || value === null) return false;
  const { url, name, version, partBytes, parts, lastUsed, isVerified = false } = value;
  if (typeof url !== 'string' || typeof lastUsed !== 'number' || !isTextOrAbsent(name)) return false;
  if (typeof version !== 'object' || version === null) return false;
  const { size, etag, lastModified, oid } = version;
  if (![etag, lastModified, oid].every(isTextOrAbsent) || !isCount(size) || size > MAX_FILE_BYTES) return false;
  if (!isCount(partBytes) || partBytes === 0 || !Array.isArray(parts) || parts.length > MAX_PARTS) return false;
  if (parts.length !== Math.ceil(size / partBytes)) return false;
  return parts.every((hash) => isHash(hash) || (hash === null && !isVerified));
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

function isHash(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}
