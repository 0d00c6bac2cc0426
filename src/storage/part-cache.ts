import { TabserveError } from '../core/errors.ts';
import { countParts, isComplete, isManifest, newManifest, partLength, withPart } from './cache-manifest.ts';
import type { CacheManifest, FileVersion } from './cache-manifest.ts';
import type { ModelStorage } from './model-storage.ts';
import { lockUrl, removeKept } from './part-storage.ts';
import { isSameVersion } from './remote-version.ts';
import { sha256 } from './sha256.ts';
import { removeSeen } from './stored-versions.ts';

export interface PartCacheOptions {
  /** Undefined: nothing is stored. */
  readonly storage: ModelStorage | undefined;
  /** The file's stored manifest when it was opened. @default nothing */
  readonly stored?: CacheManifest | undefined;
  /** Other versions of the file that are stored whole; they are kept until this one is whole. */
  readonly superseded?: readonly CacheManifest[];
  /** Resolves when the file is wanted. Until then parts are kept in memory. @default wanted at once */
  readonly wanted?: Promise<void> | undefined;
  readonly log: (message: string) => void;
}

/**
 * One model's parts in storage, checked against their hashes. It never fails: a part that storage does not return
 * counts as absent, and after storage has refused a write, no more are tried. Others may delete stored parts at any
 * time: the next write then starts anew.
 */
export class PartCache {
  readonly file: FileVersion;
  /** The stored manifest when this object was made. */
  readonly stored: CacheManifest | undefined;
  readonly #storage: ModelStorage | undefined;
  readonly #log: (message: string) => void;
  /** The hashes of stored parts, by index. */
  readonly #hashes = new Map<number, string>();
  /** Parts to store once the file is wanted. */
  readonly #held = new Map<number, Uint8Array<ArrayBuffer>>();
  /** Parts whose hash has been checked since this object was made. */
  readonly #verified = new Set<number>();
  /** Hashes of parts whose stored bytes were found to be wrong. */
  readonly #lost = new Map<number, string>();
  #isWanted: boolean;
  #storing: Promise<void> = Promise.resolve();
  /** The arguments of a {@link complete} that came before the file was wanted. */
  #completion: { readonly isVerified: boolean } | undefined;
  #superseded: readonly CacheManifest[];
  /** Set once older versions had to make room. */
  #dropping: Promise<void> | undefined;
  #isWritable: boolean;

  constructor(file: FileVersion, { storage, stored, superseded = [], wanted, log }: PartCacheOptions) {
    this.file = file;
    this.stored = stored;
    this.#storage = storage;
    this.#log = log;
    for (const [index, hash] of (stored?.parts ?? []).entries()) if (hash !== null) this.#hashes.set(index, hash);
    this.#superseded = superseded;
    this.#isWritable = storage !== undefined;
    this.#isWanted = wanted === undefined;
    void wanted?.then(() => (this.#storing = this.#storeHeld()));
  }

  /** Resolves when the held parts are stored, if the file is wanted. */
  async settled(): Promise<void> {
    await Promise.resolve(); // storing begins after the call that says that it is wanted
    await this.#storing;
  }

  /** Whether parts can still be stored. */
  get isWritable(): boolean {
    return this.#isWritable;
  }

  /** Whether all parts are stored, or will be once the file is wanted. */
  get isWhole(): boolean {
    const numHeld = [...this.#held.keys()].filter((index) => !this.#hashes.has(index)).length;
    return this.#hashes.size + numHeld === countParts(this.file);
  }

  /** Whether an earlier visit has found the whole file to have the SHA-256 that its version states. */
  get isVerified(): boolean {
    return this.stored?.isVerified === true;
  }

  has(index: number): boolean {
    return this.#hashes.has(index) || this.#held.has(index);
  }

  /** Whether a part's bytes are still needed here to be stored. */
  holds(index: number): boolean {
    return this.#held.has(index);
  }

  /** A part's bytes; undefined where it is not stored, truncated or damaged. */
  async get(index: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const held = this.#held.get(index);
    if (held !== undefined) return held;
    const hash = this.#hashes.get(index);
    if (hash === undefined || this.#storage === undefined) return undefined;
    const { url } = this.file;
    let problem = 'missing';
    try {
      const bytes = await this.#storage.readPart(url, index);
      if (bytes !== undefined && bytes.length !== partLength(this.file, index)) problem = 'cut short';
      else if (bytes !== undefined && !this.#verified.has(index) && (await sha256(bytes)) !== hash) problem = 'damaged';
      else if (bytes !== undefined) {
        this.#verified.add(index);
        return bytes;
      }
    } catch (error) {
      problem = `unreadable (${String(error)})`;
    }
    this.#hashes.delete(index);
    this.#lost.set(index, hash);
    this.#log(`Part ${index} of ${url} is ${problem} in this browser's storage and is fetched again.`);
    return undefined;
  }

  /** A part that another worker may have stored meanwhile. */
  async refreshed(index: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const stored = await this.#storage?.readManifest(this.file.url).catch(() => undefined);
    const hash = this.#isOurs(stored) ? (stored.parts[index] ?? null) : null;
    if (hash === null || hash === this.#lost.get(index)) return undefined;
    this.#hashes.set(index, hash);
    return this.get(index);
  }

  /**
   * Refuses a replacement of a lost part that differs from it, for a file that has been verified as a whole.
   *
   * @throws TabserveError `corrupt_model`; stored parts are kept
   */
  async checkRepair(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (!this.isVerified || (await sha256(bytes)) === this.stored?.parts[index]) return;
    const what = `The server of ${this.file.url} sends other bytes for part ${index} than those that were verified`;
    throw new TabserveError('corrupt_model', `${what}. Load the model again, or from another place.`);
  }

  /** Stores a part, or holds it until the file is wanted. The manifest is updated after the part's file is closed. */
  async put(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#storage === undefined || !this.#isWritable) return;
    if (this.#isWanted) await this.#store(this.#storage, index, bytes);
    else this.#held.set(index, bytes);
  }

  /** All parts are stored and correct, so the versions that this one replaces can be deleted. */
  async complete(isVerified: boolean): Promise<void> {
    if (this.#held.size > 0) this.#completion = { isVerified };
    else if (this.isWhole) await this.#complete(isVerified);
  }

  /**
   * Deletes all stored parts of the file, because they are wrong.
   *
   * @param isMeant whether to delete the stored manifest, which may be another worker's by then. @default always
   */
  async drop(isMeant: (stored: CacheManifest) => boolean = () => true): Promise<void> {
    this.#isWritable = false;
    this.#hashes.clear();
    this.#held.clear();
    if (this.#storage === undefined) return;
    const isOurs = (stored: CacheManifest | undefined): boolean => this.#isOurs(stored) && isMeant(stored);
    await removeKept(this.#storage, this.file.url, isOurs).catch(() => {}); // its hash fails the next time as well
  }

  async #storeHeld(): Promise<void> {
    this.#isWanted = true;
    for (const [index, bytes] of this.#held) {
      if (this.#storage !== undefined && this.#isWritable) await this.#store(this.#storage, index, bytes);
      this.#held.delete(index);
    }
    if (this.#completion !== undefined) await this.complete(this.#completion.isVerified);
  }

  async #store(storage: ModelStorage, index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      const hash = await sha256(bytes);
      this.#verified.delete(index);
      await this.#write(storage, index, bytes, hash);
      this.#hashes.set(index, hash);
    } catch (error) {
      if (!this.#isWritable) return; // another part has reported it already
      this.#isWritable = false;
      const remedy =
        'the model loads all the same, but the next visit downloads the rest again. Free some space, or delete a model';
      this.#log(`This browser's storage refused part ${index} of ${this.file.url} (${String(error)}): ${remedy}.`);
    }
  }

  async #write(storage: ModelStorage, index: number, bytes: Uint8Array<ArrayBuffer>, hash: string): Promise<void> {
    const { url, lastUsed } = this.file;
    // Both writes under one lock, so that a deletion finds both or neither.
    const write = (): Promise<void> => lockUrl(storage, url, async () => {
      await storage.writePart(url, index, bytes);
      await storage.updateManifest(url, (stored) => {
        // Starts anew where the stored manifest is of another version, or absent.
        return { ...withPart(this.#isOurs(stored) ? stored : newManifest(this.file), index, hash), lastUsed };
      });
    });
    try {
      await write();
    } catch (error) {
      // A new version takes space only from its own old versions.
      if (!isFull(error) || (this.#superseded.length === 0 && this.#dropping === undefined)) throw error;
      const why = "This browser's storage is full";
      if (this.#dropping === undefined) this.#log(`${why}: the older version of ${this.#name} makes room now.`);
      await (this.#dropping ??= this.#dropSuperseded());
      await write();
    }
  }

  /** Checks the manifest that is stored by now: it may have been deleted since the file was whole. */
  async #complete(isVerified: boolean): Promise<void> {
    let isStored = false;
    const verify = (stored: CacheManifest | undefined): CacheManifest | undefined => {
      isStored = this.#isOurs(stored) && isComplete(stored);
      return stored !== undefined && isStored && isVerified ? { ...stored, isVerified } : undefined;
    };
    await this.#storage?.updateManifest(this.file.url, verify).catch(() => {}); // it is verified again next time
    if (isStored) await this.#dropSuperseded();
  }

  get #name(): string {
    return this.file.name ?? this.file.url;
  }

  /**
   * Whether the stored manifest is of this version. Another worker may have added parts, or started another version.
   */
  #isOurs(stored: CacheManifest | undefined): stored is CacheManifest {
    const { partBytes, version } = this.file;
    return isManifest(stored) && stored.partBytes === partBytes && isSameVersion(stored.version, version);
  }

  async #dropSuperseded(): Promise<void> {
    const all = this.#superseded;
    this.#superseded = [];
    if (this.#storage !== undefined) for (const each of all) await removeSeen(this.#storage, each);
  }
}

function isFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'QuotaExceededError';
}
