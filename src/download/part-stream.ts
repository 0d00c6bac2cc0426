import { TabserveError } from '../core/errors.ts';
import { freeBuffer } from '../core/free-buffer.ts';
import { untilAborted } from '../core/until-aborted.ts';
import { partLength } from '../storage/cache-manifest.ts';
import type { RemoteFile } from './http-source.ts';
import type { OneAtATime } from './one-at-a-time.ts';
import type { PartCache } from '../storage/part-cache.ts';

export interface PartStreamOptions {
  readonly oneAtATime: OneAtATime;
  /** Resolves when the file is wanted. Until then no more is streamed than is requested. @default wanted at once */
  readonly wanted?: Promise<void> | undefined;
  /** Aborted when nobody wants the file any more. @default never */
  readonly signal?: AbortSignal | undefined;
}

interface Waiter {
  readonly resolve: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Parts of a file whose server does not serve ranges. The whole file is streamed once, each part is stored as it
 * completes, and delivered to those that wait for it. One part is in memory at a time.
 */
export class PartStream {
  readonly #remote: RemoteFile;
  readonly #cache: PartCache;
  readonly #options: PartStreamOptions;
  readonly #waiters = new Map<number, Waiter[]>();
  #isRunning = false;
  /** Called when a part is requested. */
  #onAsked: () => void = () => {};

  constructor(remote: RemoteFile, cache: PartCache, options: PartStreamOptions) {
    this.#remote = remote;
    this.#cache = cache;
    this.#options = options;
  }

  /** A part that the cache does not have. */
  part(index: number): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      this.#waiters.set(index, [...(this.#waiters.get(index) ?? []), { resolve, reject }]);
      if (!this.#isRunning) void this.#run();
      this.#onAsked();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      await this.#options.oneAtATime(this.#cache.file.url, async () => {
        for (const index of this.#waiters.keys()) this.#answer(index, await this.#cache.refreshed(index));
        // A request for a part that has passed and is not stored waits for another run.
        while (this.#waiters.size > 0) await this.#streamOnce();
      });
    } catch (error) {
      const waiters = [...this.#waiters.values()].flat();
      this.#waiters.clear();
      for (const waiter of waiters) waiter.reject(error);
    } finally {
      this.#isRunning = false;
    }
    if (this.#waiters.size > 0) void this.#run(); // requested since the last stream ended
  }

  async #streamOnce(): Promise<void> {
    let index = 0;
    let part = new Uint8Array(partLength(this.#cache.file, 0));
    let filled = 0;
    for await (const chunk of this.#remote.stream()) {
      for (let taken = 0; taken < chunk.length; ) {
        const piece = chunk.subarray(taken, taken + part.length - filled);
        part.set(piece, filled);
        filled += piece.length;
        taken += piece.length;
        if (filled < part.length) continue;
        await this.#finish(index, part);
        await this.#demand();
        index++;
        part = new Uint8Array(Math.max(0, partLength(this.#cache.file, index)));
        filled = 0;
      }
      if (chunk.length === chunk.buffer.byteLength) freeBuffer(chunk.buffer);
    }
  }

  async #finish(index: number, part: Uint8Array<ArrayBuffer>): Promise<void> {
    if (!this.#cache.has(index)) {
      await this.#cache.checkRepair(index, part);
      await this.#cache.put(index, part);
    }
    if (!this.#cache.isWritable) throw needsStorage(this.#remote.id);
    this.#answer(index, part);
  }

  /** Resolves when more is requested, or the file is wanted. @throws TabserveError `aborted` */
  async #demand(): Promise<void> {
    const { wanted, signal } = this.#options;
    if (wanted === undefined || this.#waiters.size > 0) return;
    const asked = new Promise<void>((resolve) => (this.#onAsked = resolve));
    const demand = Promise.race([wanted, asked]);
    await (signal === undefined ? demand : untilAborted(demand, signal));
  }

  #answer(index: number, part: Uint8Array<ArrayBuffer> | undefined): void {
    if (part === undefined) return;
    const waiters = this.#waiters.get(index) ?? [];
    this.#waiters.delete(index);
    for (const waiter of waiters) waiter.resolve(part);
  }
}

/** A file that can neither be read in ranges nor stored while it streams. */
export function needsStorage(id: string): TabserveError {
  const remedy = 'Free some space, leave private browsing, load it from another server, or open it as a file';
  const why = "its server serves no ranges (HTTP 206), and this browser's storage cannot take the whole file";
  return new TabserveError('storage_failed', `${id} cannot be loaded: ${why}. ${remedy}.`);
}
