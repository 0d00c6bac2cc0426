import { TabserveError } from '../core/errors.ts';
import { countParts, isComplete, isManifest, newManifest, partLength, withPart } from './cache-manifest.ts';
import type { CacheManifest, FileVersion } from './cache-manifest.ts';
import type { ModelStorage } from './model-storage.ts';
import { lockUrl, removeKept } from './part-storage.ts';
import { isSameVersion } from './remote-version.ts';
import { sha256 } from './sha256.ts';
import { removeSeen } from './stored-versions.ts';

export interface PartCacheOptions {
  /** Undefined: nothing is kept. */
  readonly storage: ModelStorage | undefined;
  /** What was stored of the file when it was opened. @default nothing */
  readonly stored?: CacheManifest | undefined;
  /** Other versions of the file that are stored whole: kept until this one is whole. */
  readonly superseded?: readonly CacheManifest[];
  /** Resolves when the file is wanted: until then parts are kept in memory. @default it is */
  readonly wanted?: Promise<void> | undefined;
  readonly log: (message: string) => void;
}

/**
 * One model's parts in storage, checked against their hashes. It never fails: what storage refuses to give counts as
 * absent, and once it refuses to take something, nothing more is offered to it. Others may delete what is stored at any
 * moment: what is written then begins anew.
 */
export class PartCache {
  readonly file: FileVersion;
  /** What was stored when this object was made. */
  readonly stored: CacheManifest | undefined;
  readonly #storage: ModelStorage | undefined;
  readonly #log: (message: string) => void;
  /** By index, of those parts that are stored. */
  readonly #hashes = new Map<number, string>();
  /** Parts that are to be stored once the file is wanted. */
  readonly #held = new Map<number, Uint8Array<ArrayBuffer>>();
  /** Parts whose hash has been checked since this object was made. */
  readonly #verified = new Set<number>();
  /** Hashes of parts that were not what is stored under them. */
  readonly #lost = new Map<number, string>();
  #isWanted: boolean;
  #storing: Promise<void> = Promise.resolve();
  /** What {@link complete} was called with before the file was wanted. */
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

  /** Resolves when the parts that were held are stored, where the file is wanted. */
  async settled(): Promise<void> {
    await Promise.resolve(); // storing begins behind the call that says that it is wanted
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

  /** Whether the whole has been found to have the SHA-256 that its version states, at an earlier visit. */
  get isVerified(): boolean {
    return this.stored?.isVerified === true;
  }

  has(index: number): boolean {
    return this.#hashes.has(index) || this.#held.has(index);
  }

  /** Whether a part's bytes are still needed here, to be stored. */
  holds(index: number): boolean {
    return this.#held.has(index);
  }

  /** A part's bytes, undefined where it is absent: not stored, or cut short, or damaged. */
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
   * Refuses what came in the place of a lost part of a file that has been verified as a whole, and is not the same.
   *
   * @throws TabserveError `corrupt_model`; what is stored stays
   */
  async checkRepair(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (!this.isVerified || (await sha256(bytes)) === this.stored?.parts[index]) return;
    const what = `The server of ${this.file.url} sends other bytes for part ${index} than those that were verified`;
    throw new TabserveError('corrupt_model', `${what}. Load the model again, or from another place.`);
  }

  /** Stores a part, or holds it until the file is wanted; the manifest learns of it after its file is closed. */
  async put(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#storage === undefined || !this.#isWritable) return;
    if (this.#isWanted) await this.#store(this.#storage, index, bytes);
    else this.#held.set(index, bytes);
  }

  /** All parts are stored, and are what they should be: versions that this one replaces can go. */
  async complete(isVerified: boolean): Promise<void> {
    if (this.#held.size > 0) this.#completion = { isVerified };
    else if (this.isWhole) await this.#complete(isVerified);
  }

  /**
   * Drops all that is stored of the file, which is not what it should be.
   *
   * @param isMeant of what is stored of this version by then, which may be another worker's. @default all
   */
  async drop(isMeant: (stored: CacheManifest) => boolean = () => true): Promise<void> {
    this.#isWritable = false;
    this.#hashes.clear();
    this.#held.clear();
    if (this.#storage === undefined) return;
    const isOurs = (stored: CacheManifest | undefined): boolean => this.#isOurs(stored) && isMeant(stored);
    await removeKept(this.#storage, this.file.url, isOurs).catch(() => {}); // it fails its hash the next time as well
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
      if (!this.#isWritable) return; // another part on its way has said so
      this.#isWritable = false;
      const remedy =
        'the model loads all the same, but the next visit downloads the rest again. Free some space, or delete a model';
      this.#log(`This browser's storage refused part ${index} of ${this.file.url} (${String(error)}): ${remedy}.`);
    }
  }

  async #write(storage: ModelStorage, index: number, bytes: Uint8Array<ArrayBuffer>, hash: string): Promise<void> {
    const { url, lastUsed } = this.file;
    // Under one lock: who deletes finds both of them, or neither.
    const write = (): Promise<void> => lockUrl(storage, url, async () => {
      await storage.writePart(url, index, bytes);
      await storage.updateManifest(url, (stored) => {
        // Begun anew where what is there is of another version, or nothing.
        return { ...withPart(this.#isOurs(stored) ? stored : newManifest(this.file), index, hash), lastUsed };
      });
    });
    try {
      await write();
    } catch (error) {
      // What a new version needs the room of is its own old one, and nothing else's.
      if (!isFull(error) || (this.#superseded.length === 0 && this.#dropping === undefined)) throw error;
      const why = "This browser's storage is full";
      if (this.#dropping === undefined) this.#log(`${why}: the older version of ${this.#name} makes room now.`);
      await (this.#dropping ??= this.#dropSuperseded());
      await write();
    }
  }

  /** Of what is stored by now: it may have been deleted since it was whole. */
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

  /** Another worker may have added parts, or have started on another version of the file. */
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
