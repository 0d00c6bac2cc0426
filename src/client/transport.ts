import type { Link } from '../core/link.ts';

/** A new link to the origin's engine. */
export interface HostLink {
  readonly link: Link;
  /** The lock of the worker at its other end, where that is known before the worker has answered. */
  readonly hostLock: string | undefined;
  /** Aborted, with a TabserveError, when the worker turns out not to start. */
  readonly broken: AbortSignal;
}

/** A way to the origin's engine, wherever it runs; it starts the engine's worker if need be. */
export interface Transport {
  /**
   * Opens a link to the worker that is the engine's at the moment: again after that one has died.
   *
   * @param signal aborted, with the reason to reject with, when nobody waits for it any more
   */
  open(signal: AbortSignal): Promise<HostLink>;
  /** Opens no more connections. Another tab takes over the engine, if this tab ran it. */
  close(): void;
}
