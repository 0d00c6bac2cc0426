/** The part of `navigator.locks` that is used. */
export type Locks = Pick<LockManager, 'request' | 'query'>;

/**
 * Takes a Web Lock, and keeps it until the returned function is called or this tab or worker ends, however it ends:
 * the only sign of life that a browser takes back by itself.
 *
 * @param signal aborted, with a reason to reject with, when it is not worth waiting for any more
 */
export function holdLock(locks: Locks, name: string, signal?: AbortSignal): Promise<() => void> {
  return new Promise((taken, refused) => {
    const held = locks.request(name, signal === undefined ? {} : { signal }, () => {
      return new Promise<void>((release) => {
        taken(() => release());
      });
    });
    held.catch(refused);
  });
}

/**
 * Calls `released` once nobody holds the lock, unless the signal is aborted first. Any number may watch one lock: each
 * asks for it shared, so that a frozen tab, which is granted it and cannot let go, is in nobody's way.
 */
export function watchLock(locks: Locks, name: string, signal: AbortSignal, released: () => void): void {
  const tell = (): void => {
    if (!signal.aborted) released();
  };
  const granted = (async () => locks.request(name, { mode: 'shared', signal }, () => {}))();
  // Aborted, it rejects with the signal's reason. Otherwise the lock cannot be watched, and is as good as gone.
  void granted.then(tell, tell);
}
