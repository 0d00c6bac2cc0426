/**
 * What the task settles to, or the signal's reason as soon as that is aborted: whoever gives up waits for nothing.
 *
 * @param discard called with a result that comes after the signal was aborted: nobody else has it
 */
export function untilAborted<Result>(
  task: Promise<Result>,
  signal: AbortSignal,
  discard: (late: Result) => void = () => {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      reject(signal.reason as Error);
      task.then(discard, () => {}); // had it failed, there would be nothing to discard
    };
    if (signal.aborted) return giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    const stopListening = (): void => signal.removeEventListener('abort', giveUp);
    task.then(resolve, reject).finally(stopListening);
  });
}
