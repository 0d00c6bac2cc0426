import { holdLock, type Locks } from '../core/locks.ts';

export interface WithLockOptions {
  /** Ends the wait. @default nothing does but time */
  readonly signal?: AbortSignal | undefined;
  /** Called when the lock is waited for; what it returns, when it is not any more, with whether it has been granted. */
  readonly onWait?: () => (isGranted: boolean) => void;
  /** How long it is waited for. */
  readonly maxWaitMs: number;
}

/**
 * Runs something under a Web Lock, which a tab or worker that dies lets go of. Without locks, or where it is not granted in
 * time, it runs all the same: whoever holds it for long may be a frozen tab.
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
