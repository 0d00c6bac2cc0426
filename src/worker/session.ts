import { TabserveError } from '../core/errors.ts';
import type { Frame } from '../core/frames.ts';
import type { Link } from '../core/link.ts';
import { watchLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { AdapterLimits, ProfileOptions, StepProfile } from '../core/profile.ts';
import type {
  EngineHost, Fault, GenerateRequest, HostHello, LoadOptions, ModelInfo, Queued, SessionHello,
} from '../core/protocol.ts';
import type { EngineSnapshot } from '../core/snapshot.ts';
import type { ServedModel } from './served-model.ts';
import type { ConnectedSession } from './session-registry.ts';
import type { ModelManager } from './model-manager.ts';

export interface SessionOptions {
  readonly manager: ModelManager;
  readonly locks: Locks;
  /** To the tab. */
  readonly link: Link;
  /** The answer to `connect`. */
  readonly hello: HostHello;
  /** Ends this worker without a word to anyone, as a crash does. */
  readonly die: () => void;
}

/**
 * The calls of one tab. A session lives as long as the tab holds its Web Lock. A tab that closes, crashes or navigates
 * sends nothing, but its lock is released.
 */
export class Session implements EngineHost {
  readonly #options: SessionOptions;
  readonly #ended = new AbortController();
  #attached: ConnectedSession | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  async connect({ sessionId, lockName, isHidden, handshake }: SessionHello): Promise<HostHello> {
    if (this.#attached !== undefined) throw new TabserveError('internal', 'The session is connected already.');
    const send = (batch: readonly Frame[]): void => {
      try {
        if (batch.length > 0) this.#options.link.postMessage(batch);
      } catch {
        // The link is gone, and the tab's lock will end the session. No other tab's frames may be lost for it.
      }
    };
    const session = { sessionId, isHidden, send };
    this.#manager.attach(session, handshake);
    this.#attached = session;
    watchLock(this.#options.locks, lockName, this.#ended.signal, () => {
      this.#end();
      this.#options.link.close();
    });
    return this.#options.hello;
  }

  async load(options: LoadOptions): Promise<ModelInfo> {
    const session = this.#session();
    return this.#manager.load(session, options, (progress) => session.send([{ type: 'progress', progress }]));
  }

  async keep(options: LoadOptions): Promise<void> {
    this.#manager.restore(this.#session(), options);
  }

  async generate(request: GenerateRequest): Promise<Queued> {
    const session = this.#session();
    return this.#manager.require(session).generate(session, request);
  }

  async abort(requestId: string): Promise<void> {
    const session = this.#session();
    this.#manager.of(session)?.abort(session, requestId);
  }

  async setHidden(isHidden: boolean): Promise<void> {
    this.#session().isHidden = isHidden;
    this.#manager.visibilityChanged();
  }

  async metrics(): Promise<EngineMetrics> {
    return this.#manager.metrics(this.#session());
  }

  async inspect(): Promise<EngineSnapshot> {
    return this.#manager.snapshot(this.#session());
  }

  async profile(options: ProfileOptions): Promise<StepProfile> {
    return this.#requireModel().profiler.profile(options);
  }

  async limits(): Promise<AdapterLimits> {
    return this.#requireModel().profiler.limits();
  }

  async injectFault(fault: Fault): Promise<void> {
    if (fault === 'device_lost') this.#manager.of(this.#session())?.lifecycle.model?.loseDevice();
    else this.#options.die();
  }

  async disconnect(): Promise<void> {
    this.#end();
    setTimeout(() => this.#options.link.close()); // once this has been answered
  }

  get #manager(): ModelManager {
    return this.#options.manager;
  }

  /** The session's model. @throws TabserveError `device_lost` while it is not on the GPU */
  #requireModel(): ServedModel {
    return this.#manager.require(this.#session()).lifecycle.requireModel();
  }

  #session(): ConnectedSession {
    if (this.#attached === undefined) throw new TabserveError('internal', 'The session is not connected.');
    if (this.#ended.signal.aborted) throw new TabserveError('closed', 'The session has ended.');
    return this.#attached;
  }

  #end(): void {
    if (this.#attached === undefined || this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#manager.detach(this.#attached);
  }
}
