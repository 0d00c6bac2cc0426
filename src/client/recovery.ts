import type { Remote } from 'comlink';
import { toTabserveError } from '../core/errors.ts';
import type { TabserveError } from '../core/errors.ts';
import type { EngineHost, LoadOptions } from '../core/protocol.ts';
import { type Attempt, RecoveryPolicy, retryUntilBack, statusOf } from '../core/recovery.ts';
import { sleep } from '../core/sleep.ts';
import { untilAborted } from '../core/until-aborted.ts';
import { onAbort } from './abort.ts';
import type { HostConnection } from './host-connection.ts';
import type { Listeners } from './listeners.ts';
import type { PendingRequest } from './pending-request.ts';
import type { PendingRequests } from './pending-requests.ts';
import { ANSWER, type WorkerWatch } from './worker-watch.ts';

/** A method of the worker's, to be called on whichever worker there is. */
export type HostMethod<Result> = (host: Remote<EngineHost>) => Promise<Result>;

export interface RecoveryOptions {
  /** Connects to the worker that is the engine's at the moment. */
  readonly connect: (signal: AbortSignal) => Promise<HostConnection>;
  /** The session's requests. */
  readonly pending: PendingRequests;
  readonly listeners: Listeners;
  readonly watch: WorkerWatch;
  /** Called when there is no worker, and there will be none. */
  readonly onFatal: (reason: TabserveError) => void;
  /** Aborted, with a TabserveError, when the session is over. */
  readonly closed: AbortSignal;
}

interface Connecting {
  readonly kind: 'connecting';
  /** Rejects where there is no worker to be had. */
  readonly connected: Promise<HostConnection>;
}

interface Connected {
  readonly kind: 'connected';
  readonly host: HostConnection;
}

/** There is no worker. The next one is connected to when something is asked. */
interface Disconnected {
  readonly kind: 'disconnected';
  readonly cause: TabserveError;
}

/**
 * The worker that a session uses, and its successor when it dies: the session connects to that, reports its model, and
 * sends all pending requests again. Where no worker can be had, or several in a row have died while this tab was idle,
 * it connects to the next one at the next call.
 */
export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #policy = new RecoveryPolicy();
  #state: Connecting | Connected | Disconnected;
  /** The model to report to the next worker. */
  #model: LoadOptions | undefined;
  /** Calls under way, other than requests, that make the worker work. */
  #numTasks = 0;
  /** Workers that were probably killed by a task: it is not repeated. */
  readonly #killed = new WeakSet<HostConnection>();

  /** @param first the session's first worker, being connected to */
  constructor(first: Promise<HostConnection>, options: RecoveryOptions) {
    this.#options = options;
    this.#state = connectingTo(first.then((host) => this.#use(host)));
  }

  /** The tab has this model from now on. */
  set model(model: LoadOptions) {
    this.#model = model;
  }

  /** A token has arrived: the worker works. */
  progressed(): void {
    this.#policy.progressed();
  }

  /** The worker that there is or will be. @throws TabserveError why the session is over, or why there is no worker */
  async connection(): Promise<HostConnection> {
    const { closed } = this.#options;
    closed.throwIfAborted();
    const state = this.#wake();
    return state.kind === 'connected' ? state.host : untilAborted(state.connected, closed);
  }

  /** The worker that is there, or is being connected to; undefined where there is none. */
  async lastConnection(): Promise<HostConnection | undefined> {
    const state = this.#state;
    if (state.kind === 'connecting') return state.connected.catch(() => undefined);
    return state.kind === 'connected' ? state.host : undefined;
  }

  /** Calls the worker. Where that dies, the next one is called, so the call may be made twice. */
  async call<Result>(method: HostMethod<Result>): Promise<Result> {
    return this.#call(method, false);
  }

  /** As `call`, for a task that may be too much for a worker: it is not repeated for ever where workers die of it. */
  async callTask<Result>(method: HostMethod<Result>): Promise<Result> {
    this.#numTasks++;
    try {
      return await this.#call(method, true);
    } finally {
      this.#numTasks--;
    }
  }

  /** Sends a pending request to the worker. Where there is none, the next one gets it with all the others. */
  submit(pending: PendingRequest): void {
    const state = this.#wake();
    if (state.kind === 'connected') void this.#submit(state.host, pending);
  }

  /** Ends a request in the worker. The next one does not get it. */
  abort(requestId: string): void {
    if (this.#state.kind !== 'connected') return;
    this.#state.host.call((host) => host.abort(requestId)).catch(() => {}); // the worker is dead, or the request had ended
  }

  async #call<Result>(method: HostMethod<Result>, isTask: boolean): Promise<Result> {
    for (;;) {
      const connection = await this.connection();
      try {
        return await connection.call(method);
      } catch (error) {
        this.#options.closed.throwIfAborted();
        if (!connection.closed.aborted || (isTask && this.#killed.has(connection))) throw error;
      }
    }
  }

  #wake(): Connecting | Connected {
    return this.#state.kind === 'disconnected' ? this.#reconnect(this.#state.cause) : this.#state;
  }

  /** A worker is there, and is used until it dies. */
  #use(host: HostConnection): HostConnection {
    this.#state = { kind: 'connected', host };
    onAbort(host.closed, this.#options.closed, () => this.#onLost(host, toTabserveError(host.closed.reason)));
    return host;
  }

  /** The worker is dead. The next one goes on, but not with what has killed several in a row. */
  #onLost(host: HostConnection, cause: TabserveError): void {
    const { pending, onFatal } = this.#options;
    const action = this.#policy.lost(cause, pending.size > 0 || this.#numTasks > 0);
    if (action === 'fail') return onFatal(cause);
    if (action === 'wait') {
      this.#state = { kind: 'disconnected', cause };
      return;
    }
    if (action === 'fail_work') {
      this.#killed.add(host);
      pending.failAll(cause);
    }
    this.#reconnect(cause);
  }

  #reconnect(cause: TabserveError): Connecting {
    const { closed, listeners } = this.#options;
    const onAttempt = (attempt: Attempt): void => listeners.status(statusOf(attempt));
    const options = { cause, signal: closed, sleep, onAttempt };
    // Begun when the state says so: a listener may ask something at once.
    const retrying = Promise.resolve().then(() => retryUntilBack(() => this.#connect(), options));
    const connected = retrying.then(
      (host) => {
        this.#use(host);
        void this.#resubmit(host);
        return host;
      },
      (error: unknown) => {
        this.#onUnreachable(error);
        throw error;
      },
    );
    const state = connectingTo(connected);
    this.#state = state;
    return state;
  }

  /** Connects to the next worker, and tells it which model this tab has. */
  async #connect(): Promise<HostConnection> {
    const { closed, connect, watch } = this.#options;
    const host = await connect(closed);
    const model = this.#model;
    if (model === undefined) return host;
    const settled = new AbortController();
    onAbort(closed, settled.signal, () => host.close(toTabserveError(closed.reason)));
    try {
      await watch.during(ANSWER, host.call((remote) => remote.keep(model)));
      return host;
    } catch (error) {
      host.close(toTabserveError(error));
      throw error;
    } finally {
      settled.abort();
    }
  }

  /** Gives the next worker all pending requests. The engine is ready when it has queued them. */
  async #resubmit(host: HostConnection): Promise<void> {
    const { pending, listeners, watch } = this.#options;
    const submits = Array.from(pending, (each) => this.#submit(host, each));
    if (submits.length > 0) await watch.during(ANSWER, Promise.all(submits));
    if (!host.closed.aborted) listeners.ready();
  }

  /** Never rejects. */
  async #submit(host: HostConnection, pending: PendingRequest): Promise<void> {
    const request = pending.toGenerateRequest(performance.now());
    try {
      pending.accepted(await host.call((remote) => remote.generate(request)), host.closed);
    } catch (error) {
      if (host.closed.aborted) return; // the next worker gets it
      this.#options.pending.fail(request.requestId, toTabserveError(error));
    }
  }

  #onUnreachable(error: unknown): void {
    const { closed, pending, listeners } = this.#options;
    if (closed.aborted) return;
    const cause = toTabserveError(error);
    this.#state = { kind: 'disconnected', cause };
    pending.failAll(cause);
    listeners.status({ state: 'ready' });
  }
}

function connectingTo(connected: Promise<HostConnection>): Connecting {
  connected.catch(() => {}); // perhaps nothing waits for it
  return { kind: 'connecting', connected };
}
