import { holdLock, type Locks } from '../core/locks.ts';

export interface WithLockOptions {
  /** Ends the wait. @default only time does */
  readonly signal?: AbortSignal | undefined;
  /** Called when the wait begins. The function it returns is called at its end, with whether the lock was granted. */
  readonly onWait?: () => (isGranted: boolean) => void;
  /** The longest wait. */
  readonly maxWaitMs: number;
}

/**
 * Runs a function under a Web Lock, which the browser releases when its tab or worker dies. Without locks, or where it
 * is not granted in time, the function runs all the same: a holder that keeps it for long may be a frozen tab.
 */
export async function withLock<Result>(
  locks: Locks | undefined,
  name: string,
  run: () => Promise<Result>,
  { signal, onWait = () => () => {}, maxWaitMs }: WithLockOptions,
): Promise<Result> {
  if (locks === undefined) return run();
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), maxWaitMs);
  const onAbort = (): void => giveUp.abort();
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  let release: (() => void) | undefined;
  const endWait = onWait();
  try {
    release = await holdLock(locks, name, giveUp.signal).catch(() => undefined);
  } finally {
    endWait(release !== undefined);
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
  try {
    return await run();
  } finally {
    release?.();
  }
}
