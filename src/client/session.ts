import { toTabserveError } from '../core/errors.ts';
import type { TabserveError } from '../core/errors.ts';
import type { Frame } from '../core/frames.ts';
import { holdLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import type { LoadProgress } from '../core/progress.ts';
import { addressOf, mayPersist, sessionLockName } from '../core/protocol.ts';
import type { GenerateRequest, LoadOptions, ModelInfo } from '../core/protocol.ts';
import { sleep } from '../core/sleep.ts';
import { registerErrorTransfer } from '../core/transfer-errors.ts';
import { HANDSHAKE_TIMEOUT_MS, performHandshake } from './host-connection.ts';
import type { HostConnection } from './host-connection.ts';
import { type ListenerOptions, Listeners } from './listeners.ts';
import { isPageHidden, onVisibilityChange } from './page-visibility.ts';
import { PendingRequests } from './pending-requests.ts';
import { type HostMethod, Recovery } from './recovery.ts';
import type { RequestFrames } from './request-frames.ts';
import type { Transport } from './transport.ts';
import { ANSWER, LINK, LOCK, WorkerWatch } from './worker-watch.ts';

/** How long a worker may take to answer `disconnect`. Without an answer it learns the end from the session's lock. */
const DISCONNECT_TIMEOUT_MS = 1000;

export interface SessionOptions extends ListenerOptions {
  /** Milliseconds until a worker that has not answered is asked again, over another link. */
  readonly handshakeTimeoutMs?: number;
}

/**
 * A tab's session with the origin's engine: its calls and requests, and the frames that come back. It outlives the worker
 * that runs the engine: see {@link Recovery}. It ends when it is closed, or when the model cannot be loaded at first. Every
 * other failure ends requests only.
 */
export class ClientSession {
  /** A secret, sent to the worker alone: whoever knows it may take the session over. */
  readonly sessionId = crypto.randomUUID();
  /** Every script of the origin sees it, so it does not contain the session's id. */
  readonly lockName = sessionLockName(crypto.randomUUID());
  readonly listeners: Listeners;
  /** Whether there is WebGPU where the worker runs. */
  hasWebGpu = true;
  readonly #transport: Transport;
  readonly #locks: Locks;
  readonly #handshakeTimeoutMs: number;
  readonly #pending = new PendingRequests((frames, reason) => this.abort(frames, reason));
  readonly #recovery: Recovery;
  readonly #watch: WorkerWatch;
  /** Aborted, with the reason, when the session is over. */
  readonly #closed = new AbortController();
  #numHandshakes = 0;
  #releaseLock: () => void = () => {};

  private constructor(transport: Transport, locks: Locks, signal: AbortSignal, options: SessionOptions) {
    this.#transport = transport;
    this.#locks = locks;
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    this.listeners = new Listeners(options);
    this.#watch = new WorkerWatch(() => this.call((host) => host.metrics()), (status) => {
      if (status.state === 'stalled') this.listeners.warn(status.message);
      this.listeners.status(status);
    });
    this.#recovery = new Recovery(this.#openFirst(signal), {
      connect: (closed) => this.#connect(closed),
      pending: this.#pending,
      listeners: this.listeners,
      watch: this.#watch,
      onFatal: (reason) => this.#finish(reason),
      closed: this.#closed.signal,
    });
    onVisibilityChange(() => void this.#reportVisibility(), this.#closed.signal);
  }

  /** @param signal aborted, with the reason, when the worker is not worth waiting for any more */
  static async open(
    transport: Transport,
    locks: Locks,
    signal: AbortSignal,
    options: SessionOptions = {},
  ): Promise<ClientSession> {
    registerErrorTransfer();
    const session = new ClientSession(transport, locks, signal, options);
    try {
      await session.connection();
      return session;
    } catch (error) {
      const failure = toTabserveError(error);
      session.#finish(failure);
      throw failure;
    }
  }

  /** The tab's lock is held before the worker hears of it: a lock that can be had means a dead tab. */
  async #openFirst(signal: AbortSignal): Promise<HostConnection> {
    this.#releaseLock = await this.#watch.during(LOCK, holdLock(this.#locks, this.lockName, signal));
    return this.#connect(signal);
  }

  async load(options: LoadOptions, onProgress: (progress: LoadProgress) => void): Promise<ModelInfo> {
    this.listeners.onProgress = onProgress;
    const info = await this.#watch.during(ANSWER, this.callTask((host) => host.load(options)));
    this.listeners.ready();
    this.#recovery.model = { ...info.settings, ...addressOf(options), persistOwnPrefixes: mayPersist(options) };
    return info;
  }

  /** Calls the worker; where that dies, the next one. For a call that may be made twice. */
  call<Result>(method: HostMethod<Result>): Promise<Result> {
    return this.#recovery.call(method);
  }

  /** As `call`, for a task that may be too much for a worker. */
  callTask<Result>(method: HostMethod<Result>): Promise<Result> {
    return this.#recovery.callTask(method);
  }

  /** The worker that there is or will be: for a call that must not be repeated. */
  connection(): Promise<HostConnection> {
    return this.#recovery.connection();
  }

  /**
   * Queues a request. Its frames are collected from here on, whether they are read or not.
   *
   * @param called when the caller asked, by `performance.now()`
   */
  async generate(request: GenerateRequest, called: number): Promise<RequestFrames> {
    const { signal } = this.#closed;
    if (signal.aborted) throw toTabserveError(signal.reason);
    const pending = this.#pending.add(request, called);
    this.#recovery.submit(pending);
    await pending.queued;
    return pending.frames;
  }

  /** Ends a request, here at once and in the worker soon after. */
  abort({ requestId }: RequestFrames, reason: TabserveError): void {
    if (this.#pending.fail(requestId, reason)) this.#recovery.abort(requestId);
  }

  /** Ends the session and its requests, which fail with `reason`. Resolves when the worker knows. */
  async close(reason: TabserveError): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(reason);
    this.#pending.failAll(reason);
    const host = await this.#recovery.lastConnection();
    const disconnected = host?.call((remote) => remote.disconnect()).catch(() => {}); // dead, or it learns it from the lock
    const settled = new AbortController();
    await Promise.race([disconnected, sleep(DISCONNECT_TIMEOUT_MS, settled.signal).catch(() => {})]);
    settled.abort();
    host?.close(reason);
    this.#release();
  }

  /** To the worker that there is. The next one learns it on connecting. */
  async #reportVisibility(): Promise<void> {
    const host = await this.#recovery.lastConnection();
    await host?.call((remote) => remote.setHidden(isPageHidden())).catch(() => {}); // dead
  }

  async #connect(signal: AbortSignal): Promise<HostConnection> {
    const { sessionId, lockName } = this;
    const nextHello = () => ({ sessionId, lockName, isHidden: isPageHidden(), handshake: this.#numHandshakes++ });
    const onFrames = (frames: readonly Frame[]): void => this.#receive(frames);
    const transport = { open: (until: AbortSignal) => this.#watch.during(LINK, this.#transport.open(until)) };
    const options = { locks: this.#locks, onFrames, signal };
    // Begun a moment later: the wait for a link is part of the wait for an answer, and is reported in its place.
    const handshake = Promise.resolve().then(() => performHandshake(transport, options, nextHello, this.#handshakeTimeoutMs));
    const { connection, answer } = await this.#watch.during(ANSWER, handshake);
    this.#watch.heard();
    this.hasWebGpu = answer.hasWebGpu;
    return connection;
  }

  #receive(batch: readonly Frame[]): void {
    this.#watch.heard();
    const now = performance.now();
    for (const frame of batch) {
      if (frame.type === 'log') this.listeners.log(frame);
      else if (frame.type === 'progress') this.listeners.progress(frame.progress);
      else if (frame.type === 'status') this.listeners.status(frame.status);
      else {
        if (frame.type === 'token') this.#recovery.progressed();
        this.#pending.deliver(frame, now);
      }
    }
  }

  /** There is no worker, and there will be none. */
  #finish(reason: TabserveError): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(reason);
    this.#pending.failAll(reason);
    this.#release();
  }

  #release(): void {
    this.#transport.close();
    this.#releaseLock();
  }
}
