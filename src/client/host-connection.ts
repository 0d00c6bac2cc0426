import { releaseProxy, wrap } from 'comlink';
import type { Remote } from 'comlink';
import { onAbort } from './abort.ts';
import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { Frame } from '../core/frames.ts';
import { watchLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import type { EngineHost, HostHello, SessionHello } from '../core/protocol.ts';
import type { HostLink } from './transport.ts';

/** How long a new worker may take to answer: it loads its code first, which a development server sends file by file. */
const START_MS = 60_000;

const LOST_MESSAGE = 'The browser ended the worker that ran the engine.';

export interface HostConnectionOptions {
  readonly hostLink: HostLink;
  readonly hello: SessionHello;
  readonly locks: Locks;
  readonly onFrames: (frames: readonly Frame[]) => void;
  /** Aborted, with the reason, when the worker is not worth waiting for any more. */
  readonly giveUp: AbortSignal;
}

/** A session's connection to one worker, for as long as that lives. */
export class HostConnection {
  readonly #host: Remote<EngineHost>;
  readonly #link: HostLink['link'];
  readonly #over = new AbortController();
  readonly #onMessage: (event: MessageEvent<unknown>) => void;

  private constructor({ hostLink, onFrames }: HostConnectionOptions) {
    this.#link = hostLink.link;
    this.#host = wrap<EngineHost>(hostLink.link);
    this.#onMessage = ({ data }) => {
      if (Array.isArray(data)) onFrames(data as readonly Frame[]); // the rest is Comlink's
    };
    this.#link.addEventListener('message', this.#onMessage as EventListener);
  }

  /**
   * Says hello.
   *
   * @throws TabserveError `device_lost` where the worker dies before it has answered, or why it was given up
   */
  static async open(options: HostConnectionOptions): Promise<{ connection: HostConnection; answer: HostHello }> {
    const { hostLink, hello, locks, giveUp } = options;
    const connection = new HostConnection(options);
    const { signal } = connection.#over;
    const opened = new AbortController();
    for (const reason of [giveUp, hostLink.broken]) {
      onAbort(reason, opened.signal, () => connection.close(toTabserveError(reason.reason)));
    }
    const late = `The engine's worker did not answer in ${START_MS / 1000} s; chrome://inspect/#workers shows its errors.`;
    const timer = setTimeout(() => connection.close(new TabserveError('internal', late)), START_MS);
    opened.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    const lost = (): void => connection.close(new TabserveError('device_lost', LOST_MESSAGE));
    if (hostLink.hostLock !== undefined) watchLock(locks, hostLink.hostLock, signal, lost);
    const answer = await connection.call((host) => host.connect(hello)).finally(() => opened.abort());
    if (hostLink.hostLock === undefined) watchLock(locks, answer.lockName, signal, lost);
    return { connection, answer };
  }

  /** Aborted, with the reason, when it is over: the worker is dead, or `close` was called. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Calls the worker; what it throws, and the end of the connection, come back as a TabserveError. */
  call<Result>(method: (host: Remote<EngineHost>) => Promise<Result>): Promise<Result> {
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

  /** Nothing comes from it any more; what waits for an answer fails with the reason. */
  close(reason: TabserveError): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort(reason);
    this.#link.removeEventListener('message', this.#onMessage as EventListener);
    this.#host[releaseProxy]();
    this.#link.close();
  }
}
