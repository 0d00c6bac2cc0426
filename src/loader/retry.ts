import { TabserveError } from '../core/errors.ts';
import { sleep } from '../core/sleep.ts';

/** A fault that may pass by itself: a lost connection, a server that is busy. */
export class TransientFault extends Error {
  /** What the server asked us to wait, in milliseconds. */
  readonly retryAfterMs: number;

  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

export interface RetryPolicy {
  /** Tries in all, counted anew whenever a try got something done. */
  readonly attempts: number;
  /** Before the second try; doubles each time, up to `maxDelayMs`. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Waits, or rejects early when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

export const DEFAULT_RETRIES: RetryPolicy = { attempts: 6, firstDelayMs: 500, maxDelayMs: 10_000, sleep: pause };

/**
 * Runs `attempt` until it succeeds. Faults other than {@link TransientFault} go straight through.
 *
 * @param progress a number that grows as tries get something done (bytes received)
 * @throws TabserveError `download_failed` when all tries failed, `aborted` when the signal was aborted meanwhile
 */
export async function withRetries<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  log: (message: string) => void,
  attempt: () => Promise<T>,
  progress: () => number = () => 0,
): Promise<T> {
  let failures = 0;
  let before = progress();
  for (;;) {
    try {
      return await attempt();
    } catch (fault) {
      if (!(fault instanceof TransientFault)) throw fault;
      if (progress() > before) failures = 0;
      before = progress();
      failures++;
      if (failures >= policy.attempts) {
        const message = `${fault.message} Gave up after ${failures} tries; try again later.`;
        throw new TabserveError('download_failed', message, { cause: fault });
      }
      const delay = Math.min(policy.firstDelayMs * 2 ** (failures - 1), policy.maxDelayMs);
      const wait = Math.min(Math.max(delay, fault.retryAfterMs), 6 * policy.maxDelayMs);
      log(`${fault.message} Trying again in ${wait} ms.`);
      await policy.sleep(wait, signal);
    }
  }
}

/** The error for work that the caller ended. */
export function abortedError(): TabserveError {
  return new TabserveError('aborted', 'Loading was aborted.');
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return sleep(ms, signal).catch(() => {
    throw abortedError();
  });
}
