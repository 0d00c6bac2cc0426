import { TabserveError } from '../core/errors.ts';

/** What the caller gets for aborting. */
export function abortedError(): TabserveError {
  return new TabserveError('aborted', 'The caller aborted it.');
}

/** Calls `listener` when the signal is aborted, at once if it is already, and never after `until` is aborted. */
export function onAbort(signal: AbortSignal | undefined, until: AbortSignal, listener: () => void): void {
  if (signal === undefined || until.aborted) return;
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true, signal: until });
}

/** The promise, or `aborted` as soon as the signal says so; a result that comes after that is given to `discard`. */
export async function abortable<Result>(
  promise: Promise<Result>,
  signal: AbortSignal | undefined,
  discard: (late: Result) => void,
): Promise<Result> {
  const settled = new AbortController();
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort(signal, settled.signal, () => {
      reject(abortedError());
      promise.then(discard, () => {}); // had it failed, there would be nothing to discard
    });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    settled.abort();
  }
}
