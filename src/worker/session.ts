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
import type { ConnectedSession } from './host-session.ts';
import type { Host } from './host.ts';

export interface SessionOptions {
  readonly host: Host;
  readonly locks: Locks;
  /** To the tab. */
  readonly link: Link;
  /** What is answered to `connect`. */
  readonly hello: HostHello;
  /** Ends this worker, and says nothing. */
  readonly die: () => void;
}

/**
 * A tab's end of the host. It lives as long as the tab holds its Web Lock: a tab that closes, crashes or navigates says
 * nothing, and its link stays silent, but its lock is released.
 */
export class Session implements EngineHost {
  readonly #options: SessionOptions;
  readonly #ended = new AbortController();
  #attached: ConnectedSession | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  async connect({ sessionId, lockName, handshake }: SessionHello): Promise<HostHello> {
    if (this.#attached !== undefined) throw new TabserveError('internal', 'The session is connected already.');
    const send = (batch: readonly Frame[]): void => {
      try {
        if (batch.length > 0) this.#options.link.postMessage(batch);
      } catch {
        // The link is gone, as its tab's lock will tell: no other tab's frames are to be lost for it.
      }
    };
    const session = { sessionId, send };
    this.#options.host.attach(session, handshake);
    this.#attached = session;
    watchLock(this.#options.locks, lockName, this.#ended.signal, () => {
      this.#end();
      this.#options.link.close();
    });
    return this.#options.hello;
  }

  async load(options: LoadOptions): Promise<ModelInfo> {
    const session = this.#session();
    return this.#options.host.load(session, options, (progress) => session.send([{ type: 'progress', progress }]));
  }

  async keep(options: LoadOptions): Promise<void> {
    this.#options.host.keep(this.#session(), options);
  }

  async generate(request: GenerateRequest): Promise<Queued> {
    return this.#options.host.generate(this.#session(), request);
  }

  async abort(requestId: string): Promise<void> {
    this.#options.host.abort(this.#session(), requestId);
  }

  async metrics(): Promise<EngineMetrics> {
    return this.#options.host.metrics(this.#session());
  }

  async inspect(): Promise<EngineSnapshot> {
    return this.#options.host.inspect(this.#session());
  }

  async profile(options: ProfileOptions): Promise<StepProfile> {
    return this.#options.host.profile(this.#session(), options);
  }

  async limits(): Promise<AdapterLimits> {
    return this.#options.host.limits(this.#session());
  }

  async injectFault(fault: Fault): Promise<void> {
    if (fault === 'device_lost') this.#options.host.loseDevice(this.#session());
    else this.#options.die();
  }

  async disconnect(): Promise<void> {
    this.#end();
    setTimeout(() => this.#options.link.close()); // once this has been answered
  }

  #session(): ConnectedSession {
    if (this.#attached === undefined) throw new TabserveError('internal', 'The session is not connected.');
    if (this.#ended.signal.aborted) throw new TabserveError('closed', 'The session has ended.');
    return this.#attached;
  }

  #end(): void {
    if (this.#attached === undefined || this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#options.host.detach(this.#attached);
  }
}
