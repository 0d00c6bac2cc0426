import type { Remote } from 'comlink';
import { toTabserveError } from '../core/errors.ts';
import type { TabserveError } from '../core/errors.ts';
import type { EngineHost } from '../core/protocol.ts';
import { type Attempt, RecoveryPolicy, retryUntilBack, statusOf } from '../core/recovery.ts';
import { sleep } from '../core/sleep.ts';
import type { EngineStatus } from '../core/status.ts';
import { onAbort } from './abort.ts';
import type { HostConnection } from './host-connection.ts';

export interface SuccessionOptions {
  /** Connects to the next worker, and tells it what model this tab has. */
  readonly connect: () => Promise<HostConnection>;
  /** Whether this tab has requests with the worker. */
  readonly hasRequests: () => boolean;
  /** Another worker is there: it is given all requests. */
  readonly onNext: (host: HostConnection) => void;
  /** Requests end: they are likely to kill the worker, or there is none to have. */
  readonly onFailed: (reason: TabserveError) => void;
  /** There is no worker, and there will be none. */
  readonly onBroken: (reason: TabserveError) => void;
  readonly onStatus: (status: EngineStatus) => void;
  /** Aborted, with the reason, when the session is over. */
  readonly over: AbortSignal;
}

/**
 * The worker that a session talks to, and the one after it when that dies. Where there is none to have, or several in a
 * row have died while this tab asked nothing, the next one is looked for when something is asked.
 */
export class Succession {
  readonly #options: SuccessionOptions;
  readonly #recovery = new RecoveryPolicy();
  /** The worker's end; while one has died and the next is not there yet, a promise of that. */
  #host: Promise<HostConnection> = new Promise(() => {});
  /** Why there is no worker, and none is looked for before something is asked. */
  #gone: TabserveError | undefined;
  /** Calls under way, other than requests, that make the worker work. */
  #numTasks = 0;
  /** Workers that are likely to have been killed by what they were asked: that is not asked again. */
  readonly #killed = new WeakSet<HostConnection>();

  constructor(options: SuccessionOptions) {
    this.#options = options;
  }

  /** The worker that is there, or the next one, which is looked for if need be. */
  get next(): Promise<HostConnection> {
    const cause = this.#gone;
    this.#gone = undefined;
    if (cause !== undefined) this.#lookFor(cause);
    return this.#host;
  }

  /** The worker that is there, or is being looked for. */
  get last(): Promise<HostConnection> {
    return this.#host;
  }

  /** A worker is there, and talked to until it dies. */
  use(host: HostConnection): void {
    this.#host = Promise.resolve(host);
    onAbort(host.over, this.#options.over, () => this.#lost(host, toTabserveError(host.over.reason)));
  }

  /** A token came: the worker works. */
  progressed(): void {
    this.#recovery.progressed();
  }

  /** The worker, once there is one; rejects with why the session is over, or why there is none. */
  current(): Promise<HostConnection> {
    const { over } = this.#options;
    const { next } = this;
    return new Promise((resolve, reject) => {
      const settled = new AbortController();
      onAbort(over, settled.signal, () => reject(toTabserveError(over.reason)));
      next.then(resolve, reject).finally(() => settled.abort());
    });
  }

  /** Calls the worker, or the one after it: for what may be asked twice. */
  async call<Result>(method: (host: Remote<EngineHost>) => Promise<Result>): Promise<Result> {
    return this.#ask(method, false);
  }

  /** As `call`, for what may be too much for a worker: where workers die of it, it is not asked for ever. */
  async work<Result>(method: (host: Remote<EngineHost>) => Promise<Result>): Promise<Result> {
    this.#numTasks++;
    try {
      return await this.#ask(method, true);
    } finally {
      this.#numTasks--;
    }
  }

  async #ask<Result>(method: (host: Remote<EngineHost>) => Promise<Result>, isWork: boolean): Promise<Result> {
    for (;;) {
      const host = await this.current();
      try {
        return await host.call(method);
      } catch (error) {
        const { over } = this.#options;
        if (over.aborted) throw toTabserveError(over.reason);
        if (!host.over.aborted || (isWork && this.#killed.has(host))) throw error;
      }
    }
  }

  /** The worker is dead; another one goes on, but not with what has killed several in a row. */
  #lost(host: HostConnection, cause: TabserveError): void {
    const { hasRequests, onBroken, onFailed } = this.#options;
    const verdict = this.#recovery.lost(cause, hasRequests() || this.#numTasks > 0);
    if (verdict === 'broken') return onBroken(cause);
    if (verdict === 'rest') return this.#rest(cause);
    if (verdict === 'kills') {
      this.#killed.add(host);
      onFailed(cause);
    }
    this.#lookFor(cause);
  }

  /** None is looked for before something is asked. */
  #rest(cause: TabserveError): void {
    this.#gone = cause;
    this.#host = Promise.reject(cause);
    this.#host.catch(() => {}); // whoever asks looks for the next one first
  }

  #lookFor(cause: TabserveError): void {
    const { connect, over, onStatus, onNext, onFailed } = this.#options;
    const onAttempt = (attempt: Attempt): void => onStatus(statusOf(attempt));
    this.#host = retryUntilBack(connect, { cause, signal: over, sleep, onAttempt });
    this.#host.then(
      (host) => {
        this.use(host);
        onNext(host);
      },
      (error: unknown) => {
        if (over.aborted) return;
        const failure = toTabserveError(error);
        this.#rest(failure);
        onFailed(failure);
        onStatus({ state: 'ready' });
      },
    );
  }
}
