import { holdLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';

/** Runs something while no other worker of the origin does anything under the same name. */
export type OneAtATime = <T>(name: string, run: () => Promise<T>) => Promise<T>;

/** Whoever holds a lock for longer may be a frozen tab. To fetch a part twice costs little, to wait for ever a visit. */
const MAX_WAIT_MS = 60_000;

/**
 * By a Web Lock, which a worker that dies lets go of. Without locks, or where one is held for a minute, it runs all the same.
 *
 * @param signal ends the wait with its reason
 */
export function oneAtATime(locks: Locks | undefined, signal: AbortSignal | undefined, maxWaitMs = MAX_WAIT_MS): OneAtATime {
  return async (name, run) => {
    if (locks === undefined) return run();
    const giveUp = new AbortController();
    const timer = setTimeout(() => giveUp.abort(), maxWaitMs);
    const onAbort = (): void => giveUp.abort();
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    let release: (() => void) | undefined;
    try {
      release = await holdLock(locks, `tabserve:download:${name}`, giveUp.signal).catch(() => undefined);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
    try {
      return await run();
    } finally {
      release?.();
    }
  };
}
