import { TabserveError, toTabserveError } from '../core/errors.ts';
import { holdLock, watchLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import { OWNER_LOCK } from '../core/rendezvous.ts';
import type { StartedMessage } from '../core/rendezvous.ts';
import type { Rendezvous } from './rendezvous.ts';
import { startWorker, watchScript } from './shared-worker-transport.ts';
import type { HostLink, Transport } from './transport.ts';

export interface ElectedTransportOptions {
  readonly locks: Locks;
  readonly rendezvous: Rendezvous;
  readonly startWorker: () => Worker;
  /** The worker's script, where it is known. */
  readonly workerUrl?: URL | undefined;
}

/**
 * The engine in a dedicated Worker of one tab: of the one that holds the owner's lock. All tabs queue for that lock, so
 * that the next takes over as soon as the owner closes, crashes or navigates.
 */
export class ElectedTransport implements Transport {
  readonly #options: ElectedTransportOptions;
  readonly #closed = new AbortController();
  /** Aborted when this tab owns the engine and its worker does not start. */
  readonly #broken = new AbortController();
  #worker: Worker | undefined;

  constructor(options: ElectedTransportOptions) {
    this.#options = options;
    this.#campaign().catch((error: unknown) => this.#fail(error)); // or closed before it was elected
  }

  async open(signal: AbortSignal): Promise<HostLink> {
    const giveUp = AbortSignal.any([signal, this.#broken.signal]);
    const met = await this.#options.rendezvous.meet(giveUp);
    return { ...met, broken: this.#broken.signal };
  }

  close(): void {
    this.#closed.abort(new TabserveError('closed', 'The client has been closed.'));
    this.#worker?.terminate();
  }

  async #campaign(): Promise<void> {
    const { signal } = this.#closed;
    const release = await holdLock(this.#options.locks, OWNER_LOCK, signal);
    if (signal.aborted) return release();
    signal.addEventListener('abort', release, { once: true }); // the worker is terminated first
    this.#run();
  }

  /** Runs the engine's worker here, and another one when that dies. */
  #run(): void {
    const worker = startWorker(this.#options.startWorker);
    this.#worker = worker;
    const script = watchScript(worker, this.#options.workerUrl);
    script.addEventListener('abort', () => this.#fail(script.reason), { once: true });
    worker.addEventListener('message', ({ data: { lockName } }: MessageEvent<StartedMessage>) => {
      this.#orFail(() => this.#introduce(worker, lockName));
    });
  }

  /** The worker is up. */
  #introduce(worker: Worker, lockName: string): void {
    const gone = new AbortController();
    watchLock(this.#options.locks, lockName, this.#closed.signal, () => {
      gone.abort();
      this.#orFail(() => this.#run());
    });
    const until = AbortSignal.any([gone.signal, this.#closed.signal]);
    this.#options.rendezvous.offer(worker, lockName, until, (error) => this.#fail(error));
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
    this.#broken.abort(toTabserveError(error));
  }
}
