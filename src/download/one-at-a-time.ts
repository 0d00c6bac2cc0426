import type { Locks } from '../core/locks.ts';
import { shortHash } from '../storage/short-hash.ts';
import { withLock } from '../storage/with-lock.ts';

/** Runs a function while no other worker of the origin runs one under the same name. */
export type OneAtATime = <T>(name: string, run: () => Promise<T>) => Promise<T>;

/** A holder of a lock for longer may be a frozen tab. Fetching a part twice costs less than waiting for ever. */
const MAX_WAIT_MS = 60_000;

export interface OneAtATimeOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the wait for another worker begins. The function it returns is called at its end. */
  readonly onWait?: (name: string) => (hasCome: boolean) => void;
  /** @default a minute */
  readonly maxWaitMs?: number;
}

/**
 * By a Web Lock, which the browser releases when its worker dies. Without locks, or after a minute's wait, the function
 * runs all the same.
 */
export function oneAtATime(locks: Locks | undefined, options: OneAtATimeOptions = {}): OneAtATime {
  const { signal, onWait = () => () => {}, maxWaitMs = MAX_WAIT_MS } = options;
  // Every script of the origin can list the names of locks, and a URL may be a secret.
  const lockName = (name: string): string => `tabserve:download:${shortHash(name)}`;
  return (name, run) => withLock(locks, lockName(name), run, { signal, onWait: () => onWait(name), maxWaitMs });
}
