/**
 * The task's result, or an error as soon as the signal is aborted.
 *
 * @param signal undefined: it is never aborted
 * @param discard called with a result that comes after the signal was aborted: nothing else gets it
 * @param errorOf the error to reject with, from the signal's reason. @default the reason itself
 */
export function untilAborted<Result>(
  task: Promise<Result>,
  signal: AbortSignal | undefined,
  discard: (late: Result) => void = () => {},
  errorOf: (reason: unknown) => unknown = (reason) => reason,
): Promise<Result> {
  if (signal === undefined) return task;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(errorOf(signal.reason) as Error);
      task.then(discard, () => {}); // had it failed, there would be nothing to discard
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const stopListening = (): void => signal.removeEventListener('abort', onAbort);
    task.then(resolve, reject).finally(stopListening);
  });
}
