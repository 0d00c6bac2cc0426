import { toTabserveError } from '../core/errors.ts';
import type { TabserveError } from '../core/errors.ts';
import type { Frame } from '../core/frames.ts';
import { holdLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { AdapterLimits, ProfileOptions, StepProfile } from '../core/profile.ts';
import type { LoadProgress } from '../core/progress.ts';
import { addressOf, mayPersist, sessionLockName } from '../core/protocol.ts';
import type { Fault, GenerateRequest, LoadOptions, ModelInfo } from '../core/protocol.ts';
import { sleep } from '../core/sleep.ts';
import type { EngineSnapshot } from '../core/snapshot.ts';
import { registerErrorTransfer } from '../core/transfer-errors.ts';
import { onAbort } from './abort.ts';
import { HANDSHAKE_TIMEOUT_MS, performHandshake } from './host-connection.ts';
import type { HostConnection } from './host-connection.ts';
import { type ListenerOptions, Listeners } from './listeners.ts';
import type { PendingRequest } from './pending-request.ts';
import { PendingRequests } from './pending-requests.ts';
import type { RequestFrame, RequestFrames } from './request-frames.ts';
import { Succession } from './succession.ts';
import type { Transport } from './transport.ts';
import { ANSWER, LINK, LOCK, WorkerWatch } from './worker-watch.ts';

/** A worker that does not answer a goodbye within so long learns it from the session's lock, when it can. */
const DISCONNECT_TIMEOUT_MS = 1000;

export interface ConnectionOptions extends ListenerOptions {
  /** Milliseconds after which a worker that has not answered is asked anew, over another link. */
  readonly handshakeTimeoutMs?: number;
}

/**
 * A session with the origin's engine: this tab's requests, and the frames that come back. It outlives the worker that
 * runs the engine: when that dies, the next one is told which model this tab has, loads it when something is asked, and
 * each request goes on from the tokens that this tab has. Only its own end, or a model that cannot be loaded at first, ends
 * a session; what else fails ends requests.
 */
export class Connection {
  /** Whoever knows it may take the session over, so it is told to the worker alone. */
  readonly sessionId = crypto.randomUUID();
  /** Every script of the origin sees it, so it tells nothing of the session's id. */
  readonly lockName = sessionLockName(crypto.randomUUID());
  readonly listeners: Listeners;
  readonly #transport: Transport;
  readonly #locks: Locks;
  #releaseLock: () => void = () => {};
  readonly #handshakeTimeoutMs: number;
  readonly #pending = new PendingRequests((frames, reason) => this.abort(frames, reason));
  #numHandshakes = 0;
  readonly #watch = new WorkerWatch(() => this.metrics(), (status) => {
    if (status.state === 'stalled') this.listeners.warn(status.message);
    this.listeners.status(status);
  });
  /** Aborted, with the reason, when the session is over. */
  readonly #over = new AbortController();
  /** Whether there is WebGPU where the worker runs. */
  hasWebGpu = true;
  readonly #worker: Succession;
  /** What the next worker is to load. */
  #loaded: LoadOptions | undefined;

  private constructor(transport: Transport, locks: Locks, options: ConnectionOptions) {
    this.#transport = transport;
    this.#locks = locks;
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    this.listeners = new Listeners(options);
    this.#worker = new Succession({
      connect: () => this.#reconnect(),
      hasRequests: () => this.#pending.size > 0,
      onNext: (host) => void this.#resume(host),
      onFailed: (reason) => this.#pending.failAll(reason),
      onBroken: (reason) => this.#finish(reason),
      onStatus: (status) => this.listeners.status(status),
      over: this.#over.signal,
    });
  }

  /**
   * Opens a session. The tab's lock is held before the worker hears of it: a lock that can be had means a dead tab.
   *
   * @param giveUp aborted, with the reason, when the worker is not worth waiting for any more
   */
  static async open(
    transport: Transport,
    locks: Locks,
    giveUp: AbortSignal,
    options: ConnectionOptions = {},
  ): Promise<Connection> {
    registerErrorTransfer();
    const connection = new Connection(transport, locks, options);
    try {
      await connection.#open(giveUp);
      return connection;
    } catch (error) {
      const failure = toTabserveError(error);
      connection.#finish(failure);
      throw failure;
    }
  }

  async #open(giveUp: AbortSignal): Promise<void> {
    this.#releaseLock = await this.#watch.during(LOCK, holdLock(this.#locks, this.lockName, giveUp));
    this.#worker.use(await this.#connect(giveUp));
  }

  async load(options: LoadOptions, onProgress: (progress: LoadProgress) => void): Promise<ModelInfo> {
    this.listeners.onProgress = onProgress;
    const info = await this.#watch.during(ANSWER, this.#worker.work((host) => host.load(options)));
    this.listeners.ready();
    this.#loaded = { ...info.settings, ...addressOf(options), persistOwnPrefixes: mayPersist(options) };
    return info;
  }

  metrics(): Promise<EngineMetrics> {
    return this.#worker.call((host) => host.metrics());
  }

  inspect(): Promise<EngineSnapshot> {
    return this.#worker.call((host) => host.inspect());
  }

  profile(options: ProfileOptions): Promise<StepProfile> {
    return this.#worker.work((host) => host.profile(options));
  }

  limits(): Promise<AdapterLimits> {
    return this.#worker.work((host) => host.limits());
  }

  /** Breaks something on purpose. Resolves when it was asked for. */
  async injectFault(fault: Fault): Promise<void> {
    const host = await this.#worker.current();
    await host.call((remote) => remote.injectFault(fault)).catch((error: unknown) => {
      if (!host.over.aborted) throw error; // it died, as it was told
    });
  }

  /**
   * Queues a request. Its frames are collected from here on, whether they are read or not.
   *
   * @param called when the caller asked, by `performance.now()`
   */
  async generate(request: GenerateRequest, called: number): Promise<RequestFrames> {
    const { signal } = this.#over;
    if (signal.aborted) throw toTabserveError(signal.reason);
    const pending = this.#pending.add(request, called);
    const expected = this.#worker.next;
    expected.then(
      // Another worker than the one that was expected has been given all that pend.
      (host) => this.#worker.last === expected && void this.#submit(host, pending),
      () => {}, // all that pend have been told
    );
    await pending.queued;
    return pending.frames;
  }

  /** Ends a request, here at once and in the worker soon after. */
  abort({ requestId }: RequestFrames, reason: TabserveError): void {
    if (!this.#pending.fail(requestId, reason)) return;
    const told = this.#worker.last.then((host) => host.call((remote) => remote.abort(requestId)));
    told.catch(() => {}); // the worker is gone, or the request had ended
  }

  /** Ends the session and its requests, which fail with `reason`. Resolves when the worker knows. */
  async close(reason: TabserveError): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#over.abort(reason);
    this.#pending.failAll(reason);
    const host = await this.#worker.last.catch(() => undefined);
    const told = host?.call((remote) => remote.disconnect()).catch(() => {}); // it is gone, or learns it from the lock
    const said = new AbortController();
    await Promise.race([told, sleep(DISCONNECT_TIMEOUT_MS, said.signal).catch(() => {})]);
    said.abort();
    host?.close(reason);
    this.#letGo();
  }

  async #connect(giveUp: AbortSignal): Promise<HostConnection> {
    const { sessionId, lockName } = this;
    const nextHello = () => ({ sessionId, lockName, handshake: this.#numHandshakes++ });
    const onFrames = (frames: readonly Frame[]): void => this.#receive(frames);
    const options = { locks: this.#locks, onFrames, giveUp };
    const transport = { open: (signal: AbortSignal) => this.#watch.during(LINK, this.#transport.open(signal)) };
    // Begun a moment later: the wait for a link is part of the wait for an answer, and is told in its place.
    const handshake = Promise.resolve().then(() => performHandshake(transport, options, nextHello, this.#handshakeTimeoutMs));
    const { connection, answer } = await this.#watch.during(ANSWER, handshake);
    this.#watch.heard();
    this.hasWebGpu = answer.hasWebGpu;
    return connection;
  }

  /** The next worker, which is told what model this tab has. */
  async #reconnect(): Promise<HostConnection> {
    const { signal } = this.#over;
    const host = await this.#connect(signal);
    const loaded = this.#loaded;
    if (loaded === undefined) return host;
    const settled = new AbortController();
    onAbort(signal, settled.signal, () => host.close(toTabserveError(signal.reason)));
    try {
      await this.#watch.during(ANSWER, host.call((remote) => remote.keep(loaded)));
      return host;
    } catch (error) {
      host.close(toTabserveError(error));
      throw error;
    } finally {
      settled.abort();
    }
  }

  /** Gives the next worker all that pends. The engine is ready when it has taken that, or has nothing to do. */
  async #resume(host: HostConnection): Promise<void> {
    const submits = Array.from(this.#pending, (pending) => this.#submit(host, pending));
    if (submits.length > 0) await this.#watch.during(ANSWER, Promise.all(submits));
    if (!host.over.aborted) this.listeners.ready();
  }

  /** Never rejects. */
  async #submit(host: HostConnection, pending: PendingRequest): Promise<void> {
    const request = pending.toGenerateRequest(performance.now());
    try {
      pending.accepted(await host.call((remote) => remote.generate(request)), host.over);
    } catch (error) {
      if (host.over.aborted) return; // the next worker is asked
      this.#pending.fail(request.requestId, toTabserveError(error));
    }
  }

  #receive(batch: readonly Frame[]): void {
    this.#watch.heard();
    const now = performance.now();
    for (const frame of batch) {
      if (frame.type === 'log') this.listeners.log(frame);
      else if (frame.type === 'progress') this.listeners.progress(frame.progress);
      else if (frame.type === 'status') this.listeners.status(frame.status);
      else this.#deliver(frame, now);
    }
  }

  #deliver(frame: RequestFrame, now: number): void {
    if (frame.type === 'token') this.#worker.progressed();
    this.#pending.deliver(frame, now);
  }

  /** There is no worker, and there will be none. */
  #finish(reason: TabserveError): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort(reason);
    this.#pending.failAll(reason);
    this.#letGo();
  }

  #letGo(): void {
    this.#transport.close();
    this.#releaseLock();
  }
}
