import { TabserveError, toTabserveError } from '../core/errors.ts';
import { holdLock, watchLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import { ownerLockName } from '../core/rendezvous.ts';
import type { StartedMessage } from '../core/rendezvous.ts';
import { sleep } from '../core/sleep.ts';
import type { Rendezvous } from './rendezvous.ts';
import { startWorker, watchScript } from './shared-worker-transport.ts';

/** A worker that has not started after so long is replaced; each further one may take twice as long. */
export const START_TIMEOUT_MS = 15_000;

/** Workers in a row that may fail to start. */
export const MAX_STARTS = 3;

export interface EngineOwnerOptions {
  readonly locks: Locks;
  readonly rendezvous: Rendezvous;
  readonly startWorker: () => Worker;
  /** The worker's script, where it is known. */
  readonly workerUrl?: URL | undefined;
}

/**
 * Runs the engine in a dedicated Worker of this page once the page holds the owner's lock. All pages that meet in one
 * place queue for that lock, so that the next takes over as soon as the owner closes, crashes or navigates.
 */
export class EngineOwner {
  readonly #options: EngineOwnerOptions;
  readonly #closed = new AbortController();
  readonly #broken = new AbortController();
  #worker: Worker | undefined;

  constructor(options: EngineOwnerOptions) {
    this.#options = options;
    this.#awaitOwnership().catch((error: unknown) => this.#fail(error)); // or closed before it was elected
  }

  /** Aborted, with a TabserveError, when this page's worker does not start. The lock is another page's then. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /** Ends the worker and lets another page own the engine. */
  close(): void {
    this.#worker?.terminate();
    this.#closed.abort(new TabserveError('closed', 'The client has been closed.'));
  }

  async #awaitOwnership(): Promise<void> {
    const { locks, rendezvous } = this.#options;
    const { signal } = this.#closed;
    const lockName = ownerLockName(await rendezvous.scope(signal));
    const release = await holdLock(locks, lockName, signal);
    if (signal.aborted) return release();
    signal.addEventListener('abort', release, { once: true });
    this.#run(1);
  }

  /** Runs the engine's worker here, and another one when that dies or does not start. @param start 1 for the first try */
  #run(start: number): void {
    const worker = startWorker(this.#options.startWorker);
    this.#worker = worker;
    const script = watchScript(worker, this.#options.workerUrl);
    script.addEventListener('abort', () => this.#fail(script.reason), { once: true });
    const started = new AbortController();
    worker.addEventListener('message', ({ data: { lockName } }: MessageEvent<StartedMessage>) => {
      if (this.#worker !== worker) return;
      started.abort();
      this.#orFail(() => this.#announce(worker, lockName));
    });
    // A dedicated Worker that is ended by the browser, or hangs, tells nobody.
    const late = sleep(START_TIMEOUT_MS * 2 ** (start - 1), AbortSignal.any([started.signal, this.#closed.signal]));
    late.then(() => this.#orFail(() => this.#replace(worker, start)), () => {});
  }

  #replace(worker: Worker, start: number): void {
    worker.terminate();
    if (start < MAX_STARTS) return this.#run(start + 1);
    const message = `The engine's worker did not start, in ${MAX_STARTS} tries; chrome://inspect/#workers shows its errors. Reload the page.`;
    throw new TabserveError('internal', message);
  }

  /** The worker is up. */
  #announce(worker: Worker, lockName: string): void {
    const gone = new AbortController();
    watchLock(this.#options.locks, lockName, this.#closed.signal, () => {
      gone.abort();
      this.#orFail(() => this.#run(1));
    });
    const until = AbortSignal.any([gone.signal, this.#closed.signal]);
    this.#options.rendezvous.announce(worker, lockName, until, (error) => this.#fail(error));
  }

  /** For what is called by the browser, which has nobody to tell of an error. */
  #orFail(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#closed.signal.aborted) return;
    this.#broken.abort(toTabserveError(error));
    this.close();
  }
}

/** A client's share in its page's {@link EngineOwner}. */
export interface OwnerShare {
  readonly broken: AbortSignal;
  /** The last one to let go closes it. */
  release(): void;
}

interface SharedOwner {
  readonly owner: EngineOwner;
  numShares: number;
}

/** The key by which the owners of a page are distinguished. */
const shared = new WeakMap<Locks, Map<string, SharedOwner>>();

/**
 * Joins the page's owner of that name, or starts it: a client that is closed takes no worker from another client of its
 * page.
 *
 * @param name the same for all clients that reach the engine in the same way
 */
export function shareOwner(name: string, options: EngineOwnerOptions): OwnerShare {
  const owners = shared.get(options.locks) ?? new Map<string, SharedOwner>();
  shared.set(options.locks, owners);
  let its = owners.get(name);
  if (its === undefined || its.owner.broken.aborted) its = { owner: new EngineOwner(options), numShares: 0 };
  owners.set(name, its);
  its.numShares++;
  return { broken: its.owner.broken, release: releaseOnce(owners, name, its) };
}

function releaseOnce(owners: Map<string, SharedOwner>, name: string, its: SharedOwner): () => void {
  let isReleased = false;
  return () => {
    if (isReleased) return;
    isReleased = true;
    its.numShares--;
    if (its.numShares > 0) return;
    its.owner.close();
    if (owners.get(name) === its) owners.delete(name);
  };
}
