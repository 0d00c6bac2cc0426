import type { Endpoint } from 'comlink';

/**
 * The way between a tab and the engine's worker, one a session: a MessagePort, or what {@link file://./broadcast-link.ts}
 * makes of a BroadcastChannel. Comlink's calls and the worker's frames (arrays, which Comlink passes over) share it, in
 * order.
 */
export interface Link extends Endpoint {
  close(): void;
}
