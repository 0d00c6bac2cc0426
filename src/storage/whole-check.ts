import { TabserveError } from '../core/errors.ts';
import { countParts } from './cache-manifest.ts';
import { FileHasher } from './file-hasher.ts';
import type { PartCache } from './part-cache.ts';
import { statedSha256 } from './remote-version.ts';

/** Watches a file become whole, and holds it against the SHA-256 that its version states, once. */
export class WholeCheck {
  readonly #name: string;
  readonly #cache: PartCache;
  readonly #expected: string | undefined;
  readonly #hasher: FileHasher | undefined;
  readonly #signal: AbortSignal | undefined;
  #isDone: boolean;
  #failure: TabserveError | undefined;

  /** @param signal aborted when nobody wants the file any more: what is stored of it is not read for a check then */
  constructor(name: string, cache: PartCache, signal?: AbortSignal) {
    const { isVerified, file } = cache;
    this.#name = name;
    this.#cache = cache;
    this.#signal = signal;
    this.#expected = isVerified ? undefined : statedSha256(file.version);
    this.#hasher = this.#expected === undefined ? undefined : new FileHasher(countParts(file));
    this.#isDone = isVerified;
  }

  /**
   * Takes a part that is here, and is stored if it ever will be.
   *
   * @throws TabserveError `corrupt_model` from the part on that made the file whole, where it is another file
   */
  async add(index: number, bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isDone) return;
    await this.#hasher?.add(index, bytes);
    if (this.#cache.isWhole) await this.#hasher?.finish((part) => this.#part(part));
    if (this.#hasher === undefined ? this.#cache.isWhole : this.#hasher.digest !== undefined) await this.#settle();
  }

  async #part(index: number): Promise<Uint8Array | undefined> {
    return this.#signal?.aborted === true ? undefined : this.#cache.get(index);
  }

  async #settle(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isDone) return;
    this.#isDone = true;
    const found = this.#hasher?.digest;
    if (found === this.#expected) return this.#cache.complete(found !== undefined);
    this.#failure = differs(this.#name, String(found), String(this.#expected));
    await this.#cache.drop(({ isVerified = false }) => !isVerified);
    throw this.#failure;
  }
}

function differs(name: string, found: string, expected: string): TabserveError {
  const remedy = 'Its stored parts have been deleted. Load it again, or from another place';
  const why = `its SHA-256 is ${found}, and the hub says ${expected}`;
  return new TabserveError('corrupt_model', `${name} is not the file that it should be: ${why}. ${remedy}.`);
}
