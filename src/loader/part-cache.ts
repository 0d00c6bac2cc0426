import { newManifest, partLength } from './cache-manifest.ts';
import type { CacheManifest } from './cache-manifest.ts';
import type { ModelStorage } from './model-storage.ts';
import { isSameVersion } from './remote-version.ts';
import { sha256 } from './sha256.ts';

/**
 * One model's parts in storage, checked against their hashes. It never fails: what storage refuses to give counts as
 * absent, and once it refuses to take something, nothing more is offered to it.
 */
export class PartCache {
  readonly manifest: CacheManifest;
  readonly #storage: ModelStorage | undefined;
  readonly #log: (message: string) => void;
  readonly #hashes: (string | null)[];
  /** Parts whose hash has been checked since this object was made. */
  readonly #verified = new Set<number>();
  #isWritable: boolean;

  /** @param storage undefined: nothing is kept */
  constructor(manifest: CacheManifest, storage: ModelStorage | undefined, log: (message: string) => void) {
    this.manifest = manifest;
    this.#storage = storage;
    this.#log = log;
    this.#hashes = [...manifest.parts];
    this.#isWritable = storage !== undefined;
  }

  /** Whether parts can still be stored. */
  get isWritable(): boolean {
    return this.#isWritable;
  }

  has(index: number): boolean {
    return typeof this.#hashes[index] === 'string';
  }

  /** A part's bytes, undefined where it is absent: not stored, or cut short, or damaged. */
  async get(index: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const hash = this.#hashes[index];
    if (typeof hash !== 'string' || this.#storage === undefined) return undefined;
    const { url } = this.manifest;
    let problem = 'missing';
    try {
      const bytes = await this.#storage.readPart(url, index);
      if (bytes !== undefined && bytes.length !== partLength(this.manifest, index)) problem = 'cut short';
      else if (bytes !== undefined && !this.#verified.has(index) && (await sha256(bytes)) !== hash) problem = 'damaged';
      else if (bytes !== undefined) {
        this.#verified.add(index);
        return bytes;
      }
    } catch (error) {
      problem = `unreadable (${String(error)})`;
    }
    this.#hashes[index] = null;
    this.#log(`Part ${index} of ${url} is ${problem} in this browser's storage and is fetched again.`);
    return undefined;
  }

  /** Stores a part; the manifest learns of it after its file is closed. */
  async put(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#storage === undefined || !this.#isWritable) return;
    const { url, version, partBytes, lastUsed } = this.manifest;
    try {
      const hash = await sha256(bytes);
      this.#verified.delete(index);
      await this.#storage.writePart(url, index, bytes);
      await this.#storage.updateManifest(url, (stored) => {
        // Another worker may have added parts meanwhile, or have started on another version of the file.
        const isOurs = stored?.partBytes === partBytes && isSameVersion(stored.version, version);
        const manifest = isOurs ? stored : newManifest(url, version, partBytes, lastUsed);
        return { ...manifest, parts: manifest.parts.with(index, hash), lastUsed };
      });
      this.#hashes[index] = hash;
    } catch (error) {
      if (!this.#isWritable) return; // another part on its way has said so
      this.#isWritable = false;
      const remedy = 'the model loads all the same, but the next visit downloads the rest again. Free some space';
      this.#log(`This browser's storage refused part ${index} of ${url} (${String(error)}): ${remedy}.`);
    }
  }
}
