import { holdLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import { untilAborted } from '../core/until-aborted.ts';

/** Held by the engine of the origin that has a GPU device. */
export const GPU_LOCK = 'tabserve:gpu';

/**
 * The BroadcastChannel of all engines of an origin. Its name and its two messages are frozen, since engines of different
 * releases of a page meet on it. A message says that requests for {@link GPU_LOCK} have changed, and no more: the engine
 * that holds the lock queries it then. So a message is sent once a query sees the change, and a forged one has no effect.
 */
export const GPU_CHANNEL = 'tabserve:gpu';

/** Another engine waits for the lock. */
export const GPU_WANTED = { type: 'gpu-wanted' } as const;

/** An engine that waited for the lock has given up. */
export const GPU_UNWANTED = { type: 'gpu-unwanted' } as const;

export type GpuChannel = Pick<BroadcastChannel, 'postMessage' | 'addEventListener'>;

/** A wait shorter than this is not reported. */
const REPORT_AFTER_MS = 200;

/** How often the lock is queried while it is held. Older releases send no messages, and a tab that dies sends none. */
const QUERY_MS = 10_000;

export interface GpuLeaseOptions {
  readonly locks: Locks;
  readonly channel: GpuChannel;
  /** Called when {@link GpuLease.isWanted} has changed while the lease is held. */
  readonly onWantedChange: () => void;
}

/** A request for the lock that is under way. */
interface LockRequest {
  readonly granted: Promise<void>;
  isGranted: boolean;
  readonly giveUp: AbortController;
  /** How many callers wait for it. */
  numWaiters: number;
}

/**
 * The right to have a GPU device: one engine of an origin at a time has it, whatever its worker, its release of the page
 * or its mode of ownership. Two would fill the GPU's memory twice.
 */
export class GpuLease {
  readonly #options: GpuLeaseOptions;
  #held: { readonly release: () => void; readonly timer: ReturnType<typeof setInterval>; isWanted: boolean } | undefined;
  #request: LockRequest | undefined;

  constructor(options: GpuLeaseOptions) {
    this.#options = options;
    // From now on, so that no message is missed between taking the lock and the first query.
    options.channel.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
      if (isMessage(data)) void this.#query();
    });
  }

  /** Whether this engine has it and another one waits for it, as far as is known. */
  get isWanted(): boolean {
    return this.#held?.isWanted ?? false;
  }

  /**
   * Resolves when the lease is held; at once where it is already. Any number may wait.
   *
   * @param onWait called once if another engine has it
   * @param signal aborted, with the reason to reject with, when it is not worth waiting for any more
   */
  async acquire(onWait: () => void, signal: AbortSignal): Promise<void> {
    if (this.#held !== undefined) return;
    signal.throwIfAborted();
    const report = setTimeout(onWait, REPORT_AFTER_MS);
    const request = (this.#request ??= this.#requestLock());
    request.numWaiters++;
    try {
      await untilAborted(request.granted, signal);
    } finally {
      clearTimeout(report);
      request.numWaiters--;
      if (request.numWaiters === 0 && this.#request === request) {
        this.#request = undefined;
        request.giveUp.abort(signal.reason);
      }
    }
  }

  /** Gives it back. The device must be gone by then. */
  release(): void {
    if (this.#held === undefined) return;
    clearInterval(this.#held.timer);
    this.#held.release();
    this.#held = undefined;
  }

  #requestLock(): LockRequest {
    const giveUp = new AbortController();
    const request: LockRequest = {
      giveUp,
      numWaiters: 0,
      isGranted: false,
      granted: holdLock(this.#options.locks, GPU_LOCK, giveUp.signal).then((release) => {
        request.isGranted = true;
        if (giveUp.signal.aborted) release();
        else this.#hold(release);
      }),
    };
    void this.#announce(request);
    return request;
  }

  /** Tells the engine that has the lock of a request for it, and of its end where it is given up. */
  async #announce(request: LockRequest): Promise<void> {
    const { locks, channel } = this.#options;
    const { signal } = request.giveUp;
    await locks.query(); // answered once the request is queued
    if (request.isGranted || signal.aborted) return;
    channel.postMessage(GPU_WANTED);
    const withdraw = async (): Promise<void> => {
      if (request.isGranted) return;
      await locks.query(); // answered once the request is no longer queued
      channel.postMessage(GPU_UNWANTED);
    };
    signal.addEventListener('abort', () => void withdraw());
  }

  #hold(release: () => void): void {
    const timer = setInterval(() => void this.#query(), QUERY_MS);
    this.#held = { release, timer, isWanted: false };
    void this.#query(); // others may have asked before
  }

  async #query(): Promise<void> {
    const held = this.#held;
    if (held === undefined) return;
    const { pending } = await this.#options.locks.query();
    const isWanted = pending?.some(({ name }) => name === GPU_LOCK) ?? false;
    if (this.#held !== held || held.isWanted === isWanted) return;
    held.isWanted = isWanted;
    this.#options.onWantedChange();
  }
}

function isMessage(data: unknown): boolean {
  if (typeof data !== 'object' || data === null || !('type' in data)) return false;
  return data.type === GPU_WANTED.type || data.type === GPU_UNWANTED.type;
}
