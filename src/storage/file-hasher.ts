import { sha256 } from '@noble/hashes/sha2.js';
import { yieldToEventLoop } from '../core/yield-to-event-loop.ts';

/** Bytes hashed between two yields: a few milliseconds. */
const SLICE_BYTES = 256 * 1024;
/** Parts that came early and wait for their turn. They are copied, because the reader frees its own. */
const MAX_EARLY_PARTS = 2;

/**
 * The SHA-256 of a file whose parts come roughly in order, each once or more often. WebCrypto hashes only whole
 * buffers. This is JavaScript, because a page's policy may forbid WebAssembly, and yields between slices.
 */
export class FileHasher {
  readonly #numParts: number;
  readonly #hash = sha256.create();
  readonly #early = new Map<number, Uint8Array>();
  #next = 0;
  #work: Promise<void> = Promise.resolve();
  #digest: string | undefined;

  constructor(numParts: number) {
    this.#numParts = numParts;
  }

  /** In hexadecimal; undefined until all parts have been hashed. */
  get digest(): string | undefined {
    return this.#digest;
  }

  /**
   * Adds a part. Resolves when it, and the parts that waited for it, are hashed; immediately if parts before it are
   * missing.
   */
  async add(index: number, bytes: Uint8Array): Promise<void> {
    if (index < this.#next || this.#early.has(index)) return this.#work;
    if (index > this.#next && this.#early.size >= MAX_EARLY_PARTS) return;
    this.#early.set(index, index === this.#next ? bytes : bytes.slice());
    await this.#then(() => this.#advance());
  }

  /**
   * Hashes the rest of the file. `read` returns a part, or undefined where it is not available, which ends the hash
   * there.
   */
  async finish(read: (index: number) => Promise<Uint8Array | undefined>): Promise<void> {
    await this.#then(async () => {
      for (await this.#advance(); this.#next < this.#numParts; await this.#advance()) {
        const bytes = await read(this.#next);
        if (bytes === undefined) return;
        this.#early.set(this.#next, bytes);
      }
    });
  }

  #then(step: () => Promise<void>): Promise<void> {
    const work = this.#work.then(step);
    this.#work = work.catch(() => {});
    return work;
  }

  async #advance(): Promise<void> {
    for (let bytes = this.#take(); bytes !== undefined; bytes = this.#take()) {
      for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
        this.#hash.update(bytes.subarray(at, at + SLICE_BYTES));
        await yieldToEventLoop();
      }
      this.#next++;
    }
    if (this.#next < this.#numParts || this.#digest !== undefined) return;
    this.#digest = Array.from(this.#hash.digest(), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  #take(): Uint8Array | undefined {
    const bytes = this.#early.get(this.#next);
    this.#early.delete(this.#next);
    return bytes;
  }
}
