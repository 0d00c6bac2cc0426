import { TabserveError } from '../core/errors.ts';
import { countParts, isManifest, newManifest, partLength } from './cache-manifest.ts';
import type { CacheManifest, FileVersion } from './cache-manifest.ts';
import type { ModelStorage } from './model-storage.ts';
import { isSameVersion } from './remote-version.ts';
import { sha256 } from './sha256.ts';

export interface PartCacheOptions {
  /** Undefined: nothing is kept. */
  readonly storage: ModelStorage | undefined;
  /** What was stored of the file when it was opened. @default nothing */
  readonly stored?: CacheManifest | undefined;
  /** Other versions of the file that are stored whole, by what they are stored under: kept until this one is whole. */
  readonly superseded?: readonly string[];
  readonly log: (message: string) => void;
}

/**
 * One model's parts in storage, checked against their hashes. It never fails: what storage refuses to give counts as
 * absent, and once it refuses to take something, nothing more is offered to it.
 */
export class PartCache {
  readonly file: FileVersion;
  /** What was stored when this object was made. */
  readonly stored: CacheManifest | undefined;
  readonly #storage: ModelStorage | undefined;
  readonly #log: (message: string) => void;
  /** By index, of those parts that are stored. */
  readonly #hashes = new Map<number, string>();
  /** Parts whose hash has been checked since this object was made. */
  readonly #verified = new Set<number>();
  /** Hashes of parts that were not what is stored under them. */
  readonly #lost = new Map<number, string>();
  #superseded: readonly string[];
  /** Set once older versions had to make room. */
  #dropping: Promise<void> | undefined;
  #isWritable: boolean;

  constructor(file: FileVersion, { storage, stored, superseded = [], log }: PartCacheOptions) {
    this.file = file;
    this.stored = stored;
    this.#storage = storage;
    this.#log = log;
    for (const [index, hash] of (stored?.parts ?? []).entries()) if (hash !== null) this.#hashes.set(index, hash);
    this.#superseded = superseded;
    this.#isWritable = storage !== undefined;
  }

  /** Whether parts can still be stored. */
  get isWritable(): boolean {
    return this.#isWritable;
  }

  /** Whether all parts are stored. */
  get isWhole(): boolean {
    return this.#hashes.size === countParts(this.file);
  }

  /** Whether the whole has been found to have the SHA-256 that its version states, at an earlier visit. */
  get isVerified(): boolean {
    return this.stored?.isVerified === true;
  }

  has(index: number): boolean {
    return this.#hashes.has(index);
  }

  /** A part's bytes, undefined where it is absent: not stored, or cut short, or damaged. */
  async get(index: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
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

  /** Stores a part; the manifest learns of it after its file is closed. */
  async put(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#storage === undefined || !this.#isWritable) return;
    try {
      const hash = await sha256(bytes);
      this.#verified.delete(index);
      await this.#write(this.#storage, index, bytes, hash);
      this.#hashes.set(index, hash);
    } catch (error) {
      if (!this.#isWritable) return; // another part on its way has said so
      this.#isWritable = false;
      const remedy =
        'the model loads all the same, but the next visit downloads the rest again. Free some space, or delete a model';
      this.#log(`This browser's storage refused part ${index} of ${this.file.url} (${String(error)}): ${remedy}.`);
    }
  }

  /** All parts are stored, and are what they should be: versions that this one replaces can go. */
  async complete(isVerified: boolean): Promise<void> {
    if (!this.isWhole) return;
    await this.#dropSuperseded();
    if (!isVerified) return;
    await this.#change((manifest) => ({ ...manifest, isVerified })).catch(() => {}); // it is verified again next time
  }

  /** Drops all that is stored of the file, which is not what it should be. */
  async drop(): Promise<void> {
    this.#isWritable = false;
    this.#hashes.clear();
    await this.#storage?.remove(this.file.url).catch(() => {}); // it fails its hash the next time as well
  }

  async #write(storage: ModelStorage, index: number, bytes: Uint8Array<ArrayBuffer>, hash: string): Promise<void> {
    const write = async (): Promise<void> => {
      await storage.writePart(this.file.url, index, bytes);
      await this.#change((manifest) => ({ ...manifest, parts: manifest.parts.with(index, hash) }));
    };
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

  get #name(): string {
    return this.file.name ?? this.file.url;
  }

  /** Changes what is stored as the manifest, or begins one where what is there is of another version, or nothing. */
  async #change(change: (manifest: CacheManifest) => CacheManifest): Promise<void> {
    const { url, lastUsed } = this.file;
    await this.#storage?.updateManifest(url, (stored) => {
      return { ...change(this.#isOurs(stored) ? stored : newManifest(this.file)), lastUsed };
    });
  }

  /** Another worker may have added parts, or have started on another version of the file. */
  #isOurs(stored: CacheManifest | undefined): stored is CacheManifest {
    const { partBytes, version } = this.file;
    return isManifest(stored) && stored.partBytes === partBytes && isSameVersion(stored.version, version);
  }

  async #dropSuperseded(): Promise<void> {
    const urls = this.#superseded;
    this.#superseded = [];
    for (const url of urls) await this.#storage?.remove(url).catch(() => {});
  }
}

function isFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'QuotaExceededError';
}
