import { proxy, releaseProxy, transfer, wrap } from 'comlink';
import type { Endpoint, Remote } from 'comlink';
import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { Frame, LogFrame } from '../core/frames.ts';
import { holdLock, watchLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import { sessionLockName } from '../core/protocol.ts';
import type { EngineHost, GenerateRequest, LoadOptions, ModelInfo } from '../core/protocol.ts';
import { registerErrorTransfer } from '../core/transfer-errors.ts';
import { onAbort } from './abort.ts';
import { RequestFrames } from './request-frames.ts';

const LOST_MESSAGE = 'The browser ended the worker that runs the engine; create a new client to start another.';

/** A session with the engine's worker: this tab's requests, and the frames that come back. */
export class Connection {
  readonly sessionId: string;
  /** Called for each line of the worker's log. */
  onLog: (frame: LogFrame) => void = () => {};
  readonly #host: Remote<EngineHost>;
  readonly #frames: MessagePort;
  readonly #releaseLock: () => void;
  readonly #live = new Map<string, RequestFrames>();
  /** Aborted, with the reason, when the connection is over. */
  readonly #over = new AbortController();

  private constructor(sessionId: string, host: Remote<EngineHost>, frames: MessagePort, releaseLock: () => void) {
    this.sessionId = sessionId;
    this.#host = host;
    this.#frames = frames;
    this.#releaseLock = releaseLock;
    frames.onmessage = (event: MessageEvent<readonly Frame[]>) => this.#receive(event.data);
  }

  /**
   * Opens a session. The tab's lock is held before the worker hears of it: a lock that can be had means a dead tab.
   *
   * @param port the worker's
   * @param giveUp aborted, with the reason, when the worker is not worth waiting for any more
   */
  static async open(port: Endpoint, locks: Locks, giveUp: AbortSignal): Promise<Connection> {
    registerErrorTransfer();
    const sessionId = crypto.randomUUID();
    const lockName = sessionLockName(sessionId);
    const releaseLock = await holdLock(locks, lockName);
    const { port1, port2 } = new MessageChannel();
    const connection = new Connection(sessionId, wrap<EngineHost>(port), port1, releaseLock);
    const opened = new AbortController();
    onAbort(giveUp, opened.signal, () => connection.#finish(toTabserveError(giveUp.reason)));
    const hello = transfer({ sessionId, lockName, frames: port2 }, [port2]);
    const answer = await connection.#call((host) => host.connect(hello));
    opened.abort();
    const lost = (): void => connection.#finish(new TabserveError('device_lost', LOST_MESSAGE));
    watchLock(locks, answer.lockName, connection.#over.signal, lost);
    return connection;
  }

  load(options: LoadOptions, onProgress: (progress: LoadProgress) => void): Promise<ModelInfo> {
    return this.#call((host) => host.load(options, proxy(onProgress)));
  }

  metrics(): Promise<EngineMetrics> {
    return this.#call((host) => host.metrics());
  }

  /**
   * Queues a request. Its frames are collected from here on, whether they are read or not.
   *
   * @param called when the caller asked, by `performance.now()`
   */
  async generate(request: GenerateRequest, called: number): Promise<RequestFrames> {
    const frames = new RequestFrames(request.requestId, called);
    this.#live.set(request.requestId, frames);
    try {
      await this.#call((host) => host.generate(request));
    } catch (error) {
      this.#live.delete(request.requestId);
      throw error;
    }
    return frames;
  }

  /** Ends a request, here at once and in the worker soon after. */
  abort(frames: RequestFrames, reason: TabserveError): void {
    if (frames.ended) return;
    frames.fail(reason);
    this.#live.delete(frames.requestId);
    this.#call((host) => host.abort(frames.requestId)).catch(() => {
      // Either the connection is over, which its live requests are told, or the request had ended.
    });
  }

  /** Ends the session and its requests, which fail with `reason`. Resolves when the worker knows. */
  async close(reason: TabserveError): Promise<void> {
    if (this.#over.signal.aborted) return;
    const told = this.#call((host) => host.disconnect());
    await told.catch(() => {}); // the worker is gone, or learns it from the lock
    this.#finish(reason);
  }

  /** Calls the worker; what it throws, and the end of the connection, come back as a TabserveError. */
  #call<Result>(method: (host: Remote<EngineHost>) => Promise<Result>): Promise<Result> {
    const { signal } = this.#over;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(toTabserveError(signal.reason));
        return;
      }
      const over = (): void => reject(toTabserveError(signal.reason));
      signal.addEventListener('abort', over, { once: true });
      method(this.#host)
        .then(resolve, (error: unknown) => reject(toTabserveError(error)))
        .finally(() => signal.removeEventListener('abort', over));
    });
  }

  #receive(batch: readonly Frame[]): void {
    const now = performance.now();
    for (const frame of batch) {
      if (frame.type === 'log') {
        this.onLog(frame);
        continue;
      }
      const frames = this.#live.get(frame.request);
      frames?.push(frame, now);
      if (frames?.ended === true) this.#live.delete(frame.request);
    }
  }

  #finish(reason: TabserveError): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort(reason);
    for (const frames of this.#live.values()) frames.fail(reason);
    this.#live.clear();
    this.#frames.close();
    this.#host[releaseProxy]();
    this.#releaseLock();
  }
}
