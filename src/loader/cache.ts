import { TabserveError } from '../core/errors.ts';
import { freeBuffer } from '../core/free-buffer.ts';
import { checkRange } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { isComplete, isManifest, newManifest, PART_BYTES, partLength } from './cache-manifest.ts';
import type { CacheManifest } from './cache-manifest.ts';
import type { RemoteFile } from './http-source.ts';
import type { ModelStorage } from './model-storage.ts';
import { PartCache } from './part-cache.ts';
import { needsStorage, PartStream } from './part-stream.ts';
import { isSameVersion } from './remote-version.ts';
import type { StatedVersion } from './remote-version.ts';

/**
 * Parts fetched ahead of a sequential reader. One hides a round trip behind the part before it; more would share the
 * line with the part that is waited for, and be lost unfinished when the download is interrupted.
 */
const PREFETCH_PARTS = 1;
/** Parts in memory: the one being read, the one before it (tensors are not read in file order), and those ahead. */
const PARTS_IN_MEMORY = 2 + PREFETCH_PARTS;

export interface CacheOptions {
  readonly url: string;
  /** Undefined: the file is read through memory only. */
  readonly storage: ModelStorage | undefined;
  /** Opens the file on its server; called only when something is to be fetched. */
  readonly openRemote: () => Promise<RemoteFile>;
  /** Asks the server for the file's version, undefined where that cannot be had; not asked of a pinned file. */
  readonly checkVersion: () => Promise<StatedVersion | undefined>;
  /** Whether the URL's bytes can never change. */
  readonly isPinned: boolean;
  readonly log: (message: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** @default 8 MiB */
  readonly partBytes?: number;
}

/**
 * A file read through the browser's storage, part by part. A file that is stored whole is read without the network,
 * but for one request without a body to see whether it has changed. Storage's failures never fail a load, except of a
 * file whose server serves no ranges.
 *
 * @throws TabserveError what opening the remote file throws; `storage_failed` without storage and without ranges
 */
export async function openCachedSource(options: CacheOptions): Promise<ByteSource> {
  const { url, isPinned, log, now, partBytes = PART_BYTES } = options;
  let { storage } = options;
  let stored: CacheManifest | undefined;
  try {
    const manifest = await storage?.readManifest(url);
    stored = isManifest(manifest, url, partBytes) ? manifest : undefined;
  } catch (error) {
    storage = undefined;
    log(`This browser's storage cannot be used (${String(error)}); the next visit downloads the model again.`);
  }
  if (stored !== undefined && isComplete(stored)) {
    const current = isPinned ? undefined : await options.checkVersion();
    if (current === undefined || isSameVersion(stored.version, current)) {
      const manifest = { ...stored, lastUsed: now() };
      const touch = (latest = manifest): CacheManifest => ({ ...latest, lastUsed: manifest.lastUsed });
      await storage?.updateManifest(url, touch).catch(ignore);
      return new CachedSource(new PartCache(manifest, storage, log), undefined, options);
    }
  }
  const remote = await options.openRemote();
  if (!remote.isRanged && storage === undefined) throw needsStorage(url);
  if (stored !== undefined && !isSameVersion(stored.version, remote.version)) {
    log(`${url} has changed on its server; what was stored of it is dropped.`);
    await storage?.remove(url).catch(ignore);
    stored = undefined;
  }
  const manifest = { ...(stored ?? newManifest(url, remote.version, partBytes, now())), lastUsed: now() };
  return new CachedSource(new PartCache(manifest, storage, log), remote, options);
}

interface HeldPart {
  readonly loading: Promise<Uint8Array<ArrayBuffer>>;
  /** Once they are there. */
  bytes: Uint8Array<ArrayBuffer> | undefined;
}

class CachedSource implements ByteSource {
  readonly id: string;
  readonly size: number;
  readonly #cache: PartCache;
  readonly #options: CacheOptions;
  #remote: Promise<RemoteFile> | undefined;
  #stream: PartStream | undefined;
  /** Parts in memory or on their way, the last used last. */
  readonly #parts = new Map<number, HeldPart>();
  #lastIndex = -1;

  constructor(cache: PartCache, remote: RemoteFile | undefined, options: CacheOptions) {
    this.id = options.url;
    this.size = cache.manifest.version.size;
    this.#cache = cache;
    this.#options = options;
    this.#remote = remote === undefined ? undefined : Promise.resolve(remote);
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this.id, this.size, offset, length);
    if (length === 0) return new Uint8Array();
    const { partBytes } = this.#cache.manifest;
    const first = Math.floor(offset / partBytes);
    const last = Math.floor((offset + length - 1) / partBytes);
    if (first === last) {
      const start = offset - first * partBytes;
      return (await this.#sequentialPart(first, offset)).subarray(start, start + length);
    }
    const bytes = new Uint8Array(length);
    for (let index = first; index <= last; index++) {
      const part = await this.#sequentialPart(index, offset);
      const partOffset = index * partBytes;
      const from = Math.max(offset, partOffset);
      const to = Math.min(offset + length, partOffset + part.length);
      bytes.set(part.subarray(from - partOffset, to - partOffset), from - offset);
    }
    return bytes;
  }

  /**
   * A part, with those after it set on their way where the reader goes forward. Who reads from the file's start reads its
   * header, and may want no more.
   */
  #sequentialPart(index: number, offset: number): Promise<Uint8Array<ArrayBuffer>> {
    const goesForward = offset > 0 && (index === this.#lastIndex || index === this.#lastIndex + 1);
    this.#lastIndex = index;
    const part = this.#part(index);
    const end = Math.min(index + 1 + PREFETCH_PARTS, this.#cache.manifest.parts.length);
    // A failure ahead is nobody's yet: whoever reads that part tries again and is told.
    if (goesForward) for (let ahead = index + 1; ahead < end; ahead++) this.#part(ahead).catch(ignore);
    return part;
  }

  #part(index: number): Promise<Uint8Array<ArrayBuffer>> {
    const part = this.#parts.get(index) ?? this.#hold(index);
    this.#parts.delete(index);
    this.#parts.set(index, part);
    for (const [oldest, { bytes }] of this.#parts) {
      if (this.#parts.size <= PARTS_IN_MEMORY) break;
      this.#parts.delete(oldest);
      if (bytes !== undefined) freeBuffer(bytes.buffer);
    }
    return part.loading;
  }

  #hold(index: number): HeldPart {
    const part: HeldPart = { loading: this.#load(index), bytes: undefined };
    part.loading.then(
      (bytes) => void (part.bytes = bytes),
      () => {
        if (this.#parts.get(index) === part) this.#parts.delete(index);
      },
    );
    return part;
  }

  async #load(index: number): Promise<Uint8Array<ArrayBuffer>> {
    const cached = await this.#cache.get(index);
    if (cached !== undefined) return cached;
    this.#remote ??= this.#reopen();
    const remote = await this.#remote;
    if (!remote.isRanged) {
      this.#stream ??= new PartStream(remote, this.#cache);
      return this.#stream.part(index);
    }
    const { manifest } = this.#cache;
    const bytes = await remote.read(index * manifest.partBytes, partLength(manifest, index));
    await this.#cache.put(index, bytes);
    return bytes;
  }

  /** The server, asked only now because everything seemed to be stored. */
  async #reopen(): Promise<RemoteFile> {
    try {
      const remote = await this.#options.openRemote();
      if (isSameVersion(remote.version, this.#cache.manifest.version)) return remote;
      await this.#options.storage?.remove(this.id).catch(ignore);
      throw new TabserveError('download_failed', `${this.id} has changed on its server; load it again.`);
    } catch (error) {
      this.#remote = undefined;
      throw error;
    }
  }
}

/** For failures of storage that change nothing about what is read. */
function ignore(): void {}
