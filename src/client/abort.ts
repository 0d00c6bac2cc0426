import { TabserveError } from '../core/errors.ts';

/** The error of a call that its caller aborts. @param reason the signal's, which may be a timeout's */
export function abortedError(reason?: unknown): TabserveError {
  return new TabserveError('aborted', 'The caller aborted it.', { cause: reason });
}

/** Callers without types may pass anything, such as the controller. @throws TabserveError `invalid_request` */
export function checkSignal(signal: unknown): void {
  if (signal === undefined || isSignal(signal)) return;
  throw new TabserveError('invalid_request', '`signal` is no AbortSignal; give the `signal` of an AbortController.', { param: 'signal' });
}

/** An AbortSignal of another frame is no `instanceof` this one's. */
function isSignal(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value;
}

/** Calls `listener` when the signal is aborted: at once if it is already, and never after `until` is aborted. */
export function onAbort(signal: AbortSignal | undefined, until: AbortSignal, listener: () => void): void {
  if (signal === undefined || until.aborted) return;
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true, signal: until });
}
