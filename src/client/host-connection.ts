import { releaseProxy, wrap } from 'comlink';
import type { Remote } from 'comlink';
import { onAbort } from './abort.ts';
import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { Frame } from '../core/frames.ts';
import { watchLock } from '../core/locks.ts';
import type { Link } from '../core/link.ts';
import type { Locks } from '../core/locks.ts';
import type { EngineHost, HostHello, SessionHello } from '../core/protocol.ts';
import { untilAborted } from '../core/until-aborted.ts';
import type { HostLink, Transport } from './transport.ts';

/** How long a worker may take to answer the first hello; each further one may take twice as long. */
export const HANDSHAKE_TIMEOUT_MS = 1000;

/** A worker that does not answer within so long does not start: it has its code to load first. */
const MAX_HANDSHAKE_TIMEOUT_MS = 60_000;

const LATE_MESSAGE = `The engine's worker did not answer in ${MAX_HANDSHAKE_TIMEOUT_MS / 1000} s; chrome://inspect/#workers shows its errors.`;

const LOST_MESSAGE = 'The browser ended the worker that ran the engine.';

const MISSED_MESSAGE = 'A message between this tab and the engine\u2019s worker was lost.';

export interface HostConnectionOptions {
  readonly hostLink: HostLink;
  readonly hello: SessionHello;
  readonly locks: Locks;
  readonly onFrames: (frames: readonly Frame[]) => void;
  /** Aborted, with the reason, when the worker is not worth waiting for any more. */
  readonly signal: AbortSignal;
  /** Milliseconds that the worker may take to answer. */
  readonly handshakeTimeoutMs: number;
}

/** A connection, and what the worker said. */
export interface Opened {
  readonly connection: HostConnection;
  readonly answer: HostHello;
}

/** A session's connection to one worker, for as long as that lives. */
export class HostConnection {
  readonly #host: Remote<EngineHost>;
  readonly #link: Link;
  readonly #closed = new AbortController();
  readonly #onMessage: (event: MessageEvent<unknown>) => void;

  private constructor({ hostLink, onFrames }: HostConnectionOptions) {
    const { link } = hostLink;
    this.#link = link;
    this.#host = wrap<EngineHost>({
      postMessage: (...message) => this.#post(...message),
      addEventListener: (...listener) => link.addEventListener(...listener),
      removeEventListener: (...listener) => link.removeEventListener(...listener),
    });
    this.#onMessage = ({ data }) => {
      if (Array.isArray(data)) onFrames(data as readonly Frame[]); // the rest is Comlink's
    };
    this.#link.addEventListener('message', this.#onMessage as EventListener);
    this.#link.addEventListener('messageerror', () => this.close(new TabserveError('device_lost', MISSED_MESSAGE)));
  }

  /**
   * Says hello. Resolves to `undefined` where no answer has come in time: the worker still loads its code, or has died
   * before it could be known by its lock.
   *
   * @throws TabserveError `device_lost` where the worker dies before it has answered, or why it was given up
   */
  static async open(options: HostConnectionOptions): Promise<Opened | undefined> {
    const { hostLink, hello, locks, handshakeTimeoutMs } = options;
    const connection = new HostConnection(options);
    const { closed } = connection;
    const opened = new AbortController();
    for (const signal of [options.signal, hostLink.broken]) {
      onAbort(signal, opened.signal, () => connection.close(toTabserveError(signal.reason)));
    }
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      connection.close(new TabserveError('internal', 'The worker did not answer.'));
    }, handshakeTimeoutMs);
    const lost = (): void => connection.close(new TabserveError('device_lost', LOST_MESSAGE));
    if (hostLink.hostLock !== undefined) watchLock(locks, hostLink.hostLock, closed, lost);
    let answer: HostHello;
    try {
      answer = await connection.call((host) => host.connect(hello));
    } catch (error) {
      if (isLate) return undefined;
      throw error;
    } finally {
      clearTimeout(timer);
      opened.abort();
    }
    if (hostLink.hostLock === undefined) watchLock(locks, answer.lockName, closed, lost);
    return { connection, answer };
  }

  /** Aborted, with a TabserveError, when the worker is dead or `close` was called. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Calls the worker. @throws TabserveError what the worker throws, or why the connection is closed */
  async call<Result>(method: (host: Remote<EngineHost>) => Promise<Result>): Promise<Result> {
    this.closed.throwIfAborted();
    const result = method(this.#host).catch((error: unknown) => {
      throw callError(error);
    });
    return untilAborted(result, this.closed);
  }

  /** Comlink posts at the end as well, when the link may be gone already: nothing waits for that. */
  #post(...message: Parameters<Link['postMessage']>): void {
    try {
      this.#link.postMessage(...message);
    } catch (error) {
      if (!this.#closed.signal.aborted) throw error;
    }
  }

  /** Nothing comes from it any more; what waits for an answer fails with the reason. */
  close(reason: TabserveError): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(reason);
    this.#link.removeEventListener('message', this.#onMessage as EventListener);
    this.#host[releaseProxy]();
    this.#link.close();
  }
}

/** Why a call failed; what cannot even be sent is the caller's mistake. */
function callError(error: unknown): TabserveError {
  if (!(error instanceof DOMException && error.name === 'DataCloneError')) return toTabserveError(error);
  const message = `What was given cannot be sent to the engine's worker: ${error.message} Give plain data, and no functions.`;
  return new TabserveError('invalid_request', message, { cause: error });
}

/**
 * Shakes hands with the worker; again, on another link, where no answer comes: a browser may still connect a tab to a worker that is
 * dying, after its lock was released. A worker that was only slow takes the last handshake for the session's.
 *
 * @param nextHello the next hello: each time of a later handshake
 * @param handshakeTimeoutMs milliseconds that the first handshake may take; each further one may take twice as long
 */
export async function performHandshake(
  transport: Pick<Transport, 'open'>,
  options: Omit<HostConnectionOptions, 'hostLink' | 'hello' | 'handshakeTimeoutMs'>,
  nextHello: () => SessionHello,
  handshakeTimeoutMs: number,
): Promise<Opened> {
  for (let ms = handshakeTimeoutMs; ms < MAX_HANDSHAKE_TIMEOUT_MS; ms *= 2) {
    const hostLink = await transport.open(options.signal);
    const opened = await HostConnection.open({ ...options, hello: nextHello(), hostLink, handshakeTimeoutMs: ms });
    if (opened !== undefined) return opened;
  }
  throw new TabserveError('internal', LATE_MESSAGE);
}
