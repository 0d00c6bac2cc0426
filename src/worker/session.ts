import { TabserveError } from '../core/errors.ts';
import type { Frame } from '../core/frames.ts';
import { watchLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import type {
  EngineHost, GenerateRequest, HostHello, LoadOptions, ModelInfo, SessionHello,
} from '../core/protocol.ts';
import type { Host, HostSession } from './host.ts';

export interface SessionOptions {
  readonly host: Host;
  readonly locks: Locks;
  /** What is answered to `connect`. */
  readonly hello: HostHello;
}

/**
 * A tab's end of the host. It lives as long as the tab holds its Web Lock: a tab that closes, crashes or navigates says
 * nothing, and its ports stay silent, but its lock is released.
 */
export class Session implements EngineHost {
  readonly #options: SessionOptions;
  readonly #ended = new AbortController();
  #attached: HostSession | undefined;
  #frames: MessagePort | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  async connect({ sessionId, lockName, frames }: SessionHello): Promise<HostHello> {
    if (this.#attached !== undefined) throw new TabserveError('internal', 'The session is connected already.');
    this.#frames = frames;
    const send = (batch: readonly Frame[]): void => {
      if (batch.length > 0) frames.postMessage(batch);
    };
    this.#attached = { sessionId, send };
    this.#options.host.attach(this.#attached);
    watchLock(this.#options.locks, lockName, this.#ended.signal, () => this.#end());
    return this.#options.hello;
  }

  async load(options: LoadOptions, onProgress: (progress: LoadProgress) => unknown): Promise<ModelInfo> {
    const tell = (progress: LoadProgress): void => {
      // A listener in the tab may throw; that is the tab's, and not a reason to stop loading.
      Promise.resolve(onProgress(progress)).catch((error: unknown) => {
        this.#options.host.log('warn', `A progress listener failed: ${String(error)}`);
      });
    };
    return this.#options.host.load(this.#session(), options, tell);
  }

  async generate(request: GenerateRequest): Promise<void> {
    this.#options.host.generate(this.#session(), request);
  }

  async abort(requestId: string): Promise<void> {
    this.#options.host.abort(this.#session(), requestId);
  }

  async metrics(): Promise<EngineMetrics> {
    return this.#options.host.metrics();
  }

  async disconnect(): Promise<void> {
    this.#end();
  }

  #session(): HostSession {
    if (this.#attached === undefined) throw new TabserveError('internal', 'The session is not connected.');
    if (this.#ended.signal.aborted) throw new TabserveError('closed', 'The session has ended.');
    return this.#attached;
  }

  #end(): void {
    if (this.#attached === undefined || this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#options.host.detach(this.#attached);
    this.#frames?.close();
  }
}
