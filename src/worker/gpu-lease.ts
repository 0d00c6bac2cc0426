import { holdLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import { untilAborted } from '../core/until-aborted.ts';

/** Held by whichever engine of the origin has a GPU device. */
export const GPU_LOCK = 'tabserve:gpu';

/** A wait shorter than this is not worth telling. */
const TELL_AFTER_MS = 200;

/**
 * The right to have a GPU device: one engine of an origin at a time has it, whatever worker, release of the page or mode
 * of ownership it belongs to. Two would fill the GPU's memory twice.
 */
export class GpuLease {
  readonly #locks: Locks;
  #release: (() => void) | undefined;
  /** The request for the lock that is under way, and for how many. */
  #asking: { readonly taken: Promise<void>; readonly giveUp: AbortController; waiters: number } | undefined;

  constructor(locks: Locks) {
    this.#locks = locks;
  }

  /**
   * Resolves when the lease is held; at once where it is already. Any number may wait.
   *
   * @param onWait called once if another engine has it
   * @param signal aborted, with the reason to reject with, when it is not worth waiting for any more
   */
  async acquire(onWait: () => void, signal: AbortSignal): Promise<void> {
    if (this.#release !== undefined) return;
    signal.throwIfAborted();
    const tell = setTimeout(onWait, TELL_AFTER_MS);
    const asking = (this.#asking ??= this.#ask());
    asking.waiters++;
    try {
      await untilAborted(asking.taken, signal);
    } finally {
      clearTimeout(tell);
      asking.waiters--;
      if (asking.waiters === 0 && this.#asking === asking) {
        this.#asking = undefined;
        asking.giveUp.abort(signal.reason);
      }
    }
  }

  /** Gives it back. The device must be gone by then. */
  release(): void {
    this.#release?.();
    this.#release = undefined;
  }

  /** Whether this engine has it and another one waits for it. */
  async isWanted(): Promise<boolean> {
    if (this.#release === undefined) return false;
    const { pending } = await this.#locks.query();
    return pending?.some(({ name }) => name === GPU_LOCK) ?? false;
  }

  #ask() {
    const giveUp = new AbortController();
    const taken = holdLock(this.#locks, GPU_LOCK, giveUp.signal).then((release) => {
      if (giveUp.signal.aborted) release();
      else this.#release = release;
    });
    return { taken, giveUp, waiters: 0 };
  }
}
