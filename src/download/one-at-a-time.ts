import type { Locks } from '../core/locks.ts';
import { shortHash } from '../storage/short-hash.ts';
import { withLock } from '../storage/with-lock.ts';

/** Runs something while no other worker of the origin does anything under the same name. */
export type OneAtATime = <T>(name: string, run: () => Promise<T>) => Promise<T>;

/** Whoever holds a lock for longer may be a frozen tab. To fetch a part twice costs little, to wait for ever a visit. */
const MAX_WAIT_MS = 60_000;

export interface OneAtATimeOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** Called when another worker is waited for; what it returns, when it is not any more. */
  readonly onWait?: (name: string) => (hasCome: boolean) => void;
  /** @default a minute */
  readonly maxWaitMs?: number;
}

/** By a Web Lock, which a worker that dies lets go of. Without locks, or where one is held for a minute, it runs all the same. */
export function oneAtATime(locks: Locks | undefined, options: OneAtATimeOptions = {}): OneAtATime {
  const { signal, onWait = () => () => {}, maxWaitMs = MAX_WAIT_MS } = options;
  // Every script of the origin sees the names of locks, and a URL may be a secret.
  const lockName = (name: string): string => `tabserve:download:${shortHash(name)}`;
  return (name, run) => withLock(locks, lockName(name), run, { signal, onWait: () => onWait(name), maxWaitMs });
}
