import { TabserveError } from '../core/errors.ts';
import { freeBuffer } from '../core/free-buffer.ts';
import { checkRange } from '../core/byte-source.ts';
import type { ByteSource } from '../core/byte-source.ts';
import { countParts, isComplete, isManifest, PART_BYTES, partLength } from '../storage/cache-manifest.ts';
import type { CacheManifest } from '../storage/cache-manifest.ts';
import { checkFileSize } from '../core/file-size.ts';
import type { RemoteFile } from './http-source.ts';
import type { ModelStorage } from '../storage/model-storage.ts';
import type { OneAtATime } from './one-at-a-time.ts';
import { PartCache } from '../storage/part-cache.ts';
import { needsStorage, PartStream } from './part-stream.ts';
import { isSameVersion } from '../storage/remote-version.ts';
import type { StatedVersion } from '../storage/remote-version.ts';
import { findVersions, placeVersion, removeSeen } from '../storage/stored-versions.ts';
import { WholeCheck } from '../storage/whole-check.ts';

/**
 * Parts fetched ahead of a sequential reader. One hides the round trip of the next part. More would share the bandwidth
 * with the part that is waited for, and would be lost when the download is interrupted.
 */
const PREFETCH_PARTS = 1;
/** Parts in memory: the one being read, the one before it (tensors are not read in file order), and those ahead. */
const PARTS_IN_MEMORY = 2 + PREFETCH_PARTS;

export interface CacheOptions {
  /** The name that the file is requested by. Stored files of the same name are versions of it. */
  readonly name: string;
  /** Undefined: the file is read through memory only. */
  readonly storage: ModelStorage | undefined;
  /**
   * Opens the file on its server. Called only when something must be fetched.
   *
   * @param stored the version to open, where another one would be useless
   */
  readonly openRemote: (stored?: CacheManifest) => Promise<RemoteFile>;
  /** Asks the server for the file's version; undefined where it is not available. Not called for a pinned file. */
  readonly checkVersion: () => Promise<StatedVersion | undefined>;
  /** Whether the name's bytes can never change. */
  readonly isPinned: boolean;
  /** Keeps two workers from downloading the same part. @default no coordination */
  readonly oneAtATime?: OneAtATime;
  /** Resolves when the file is wanted. Until then nothing of it is stored. @default wanted at once */
  readonly wanted?: Promise<void> | undefined;
  /** Aborted when nobody wants the file any more. @default never */
  readonly signal?: AbortSignal | undefined;
  /** The limit of GPU memory for all models: a file that can never fit is refused. @default not known */
  readonly budgetBytes?: number | undefined;
  readonly log: (message: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** @default 8 MiB */
  readonly partBytes?: number;
}

/**
 * A file read through the browser's storage, part by part. A file that is stored whole is read without the network,
 * apart from one request without a body to check whether it has changed. A new version replaces the stored one when it
 * is whole. Failures of storage never fail a load, except for a file whose server does not serve ranges. Where the
 * file's SHA-256 is known, the read that makes it whole checks it.
 *
 * @throws TabserveError what opening the remote file throws; `storage_failed` without storage and without ranges;
 *   `out_of_memory` for a file that can never fit
 */
export async function openCachedSource(options: CacheOptions): Promise<ByteSource> {
  const { name, isPinned, log, now, partBytes = PART_BYTES } = options;
  let { storage } = options;
  let stored: readonly CacheManifest[] = [];
  try {
    if (storage !== undefined) stored = await findVersions(storage, name, partBytes);
  } catch (error) {
    storage = undefined;
    log(`This browser's storage cannot be used (${String(error)}); the next visit downloads the model again.`);
  }
  const whole = stored.filter(isComplete);
  if (whole.length > 0) {
    const current = isPinned ? undefined : await options.checkVersion();
    const usable = whole.find(({ version }) => current === undefined || isSameVersion(version, current));
    if (usable !== undefined) {
      // Left behind by a worker that was killed between the two deletions.
      const others = current === undefined ? [] : stored.filter((each) => each !== usable);
      if (storage !== undefined) for (const each of others) await removeSeen(storage, each);
      return openStored(withOid(usable, current), storage, options);
    }
  }
  let remote: RemoteFile;
  try {
    remote = await options.openRemote(isPinned ? stored[0] : undefined);
    checkFileSize(name, remote.size, options.budgetBytes);
  } catch (error) {
    if (whole[0] === undefined || (error instanceof TabserveError && error.code === 'aborted')) throw error;
    log(`${name} has changed on its server, but the new version could not be opened (${String(error)}): the stored version is used.`);
    return openStored(whole[0], storage, options);
  }
  if (!remote.isRanged && storage === undefined) throw needsStorage(name);
  const place = await placeVersion(stored, remote, { name, storage, partBytes, lastUsed: now() });
  const isNew = stored.length > 0 && (place.stored?.parts ?? []).every((hash) => hash === null);
  if (isNew) log(`${name} has changed on its server; the stored version is kept until the new one is complete.`);
  return new CachedSource(new PartCache(place.file, { ...place, storage, wanted: options.wanted, log }), remote, options);
}

async function openStored(
  stored: CacheManifest,
  storage: ModelStorage | undefined,
  options: CacheOptions,
): Promise<ByteSource> {
  checkFileSize(options.name, stored.version.size, options.budgetBytes);
  const lastUsed = options.now();
  const manifest = { ...stored, lastUsed };
  const { version } = stored;
  // Unless it has been deleted or replaced since it was listed.
  const use = (latest: CacheManifest | undefined): CacheManifest | undefined =>
    isManifest(latest) && isSameVersion(latest.version, version) ? { ...latest, version, lastUsed } : undefined;
  await storage?.updateManifest(stored.url, use).catch(ignore);
  return new CachedSource(new PartCache(manifest, { stored, storage, wanted: options.wanted, log: options.log }), undefined, options);
}

/** A file that was fetched by its plain URL is verified once a hub states its SHA-256. */
function withOid(stored: CacheManifest, current: StatedVersion | undefined): CacheManifest {
  const { version } = stored;
  if (current?.oid === undefined || version.oid !== undefined) return stored;
  return { ...stored, version: { ...version, oid: current.oid } };
}

interface HeldPart {
  readonly loading: Promise<Uint8Array<ArrayBuffer>>;
  /** Set when they have arrived. */
  bytes: Uint8Array<ArrayBuffer> | undefined;
}

class CachedSource implements ByteSource {
  readonly id: string;
  readonly size: number;
  readonly #cache: PartCache;
  readonly #check: WholeCheck;
  readonly #options: CacheOptions;
  #remote: Promise<RemoteFile> | undefined;
  #stream: PartStream | undefined;
  /** Parts in memory or being fetched, the last used last. */
  readonly #parts = new Map<number, HeldPart>();
  #lastIndex = -1;

  constructor(cache: PartCache, remote: RemoteFile | undefined, options: CacheOptions) {
    this.id = options.name;
    this.size = cache.file.version.size;
    this.#cache = cache;
    this.#check = new WholeCheck(options.name, cache, options.signal);
    this.#options = options;
    this.#remote = remote === undefined ? undefined : Promise.resolve(remote);
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this.id, this.size, offset, length);
    if (length === 0) return new Uint8Array();
    await this.#cache.settled();
    const { partBytes } = this.#cache.file;
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
   * A part. Where the reader goes forward, the parts after it are prefetched. A reader at the file's start reads its
   * header, and may want no more.
   */
  #sequentialPart(index: number, offset: number): Promise<Uint8Array<ArrayBuffer>> {
    const goesForward = offset > 0 && (index === this.#lastIndex || index === this.#lastIndex + 1);
    this.#lastIndex = index;
    const part = this.#part(index);
    const end = Math.min(index + 1 + PREFETCH_PARTS, countParts(this.#cache.file));
    // A failed prefetch is not reported: a read of that part tries again.
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
      if (bytes !== undefined && !this.#cache.holds(oldest)) freeBuffer(bytes.buffer);
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
    const bytes = (await this.#cache.get(index)) ?? (await this.#fetch(index));
    await this.#check.add(index, bytes);
    return bytes;
  }

  async #fetch(index: number): Promise<Uint8Array<ArrayBuffer>> {
    this.#remote ??= this.#reopen();
    const remote = await this.#remote;
    const { oneAtATime = runAtOnce, wanted, signal } = this.#options;
    if (!remote.isRanged) {
      this.#stream ??= new PartStream(remote, this.#cache, { oneAtATime, wanted, signal });
      return this.#stream.part(index);
    }
    const { file } = this.#cache;
    return oneAtATime(`${file.url}#${index}`, async () => {
      const arrived = await this.#cache.refreshed(index);
      if (arrived !== undefined) return arrived;
      const bytes = await remote.read(index * file.partBytes, partLength(file, index));
      await this.#cache.checkRepair(index, bytes);
      await this.#cache.put(index, bytes);
      return bytes;
    });
  }

  /** Opens the server's file, which is only needed now because everything seemed to be stored. */
  async #reopen(): Promise<RemoteFile> {
    try {
      const remote = await this.#options.openRemote(this.#cache.stored);
      if (isSameVersion(remote.version, this.#cache.file.version)) return remote;
      await this.#cache.drop();
      throw new TabserveError('download_failed', `${this.id} has changed on its server; load it again.`);
    } catch (error) {
      this.#remote = undefined;
      throw error;
    }
  }
}

const runAtOnce: OneAtATime = (_name, run) => run();

/** For failures of storage that do not affect the read. */
function ignore(): void {}
