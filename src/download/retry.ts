import { TabserveError } from '../core/errors.ts';
import { sleep } from '../core/sleep.ts';

interface FaultOptions {
  readonly cause?: unknown;
  readonly retryAfterMs?: number;
  readonly isUnanswered?: boolean;
  readonly isSilent?: boolean;
}

/** A fault that may be temporary: a lost connection, a busy server. */
export class TransientFault extends Error {
  /** The delay that the server asked for, in milliseconds. */
  readonly retryAfterMs: number;
  /** Whether no answer came at all, for whatever reason: browsers do not distinguish. */
  readonly isUnanswered: boolean;
  /** Whether the server timed out. */
  readonly isSilent: boolean;

  constructor(message: string, options: FaultOptions = {}) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs ?? 0;
    this.isUnanswered = options.isUnanswered ?? false;
    this.isSilent = options.isSilent ?? false;
  }
}

export interface RetryPolicy {
  /** Tries in all, counted anew after each try that made progress. */
  readonly attempts: number;
  /** Before the second try; doubles each time, up to `maxDelayMs`. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Waits. Rejects when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

export const DEFAULT_RETRIES: RetryPolicy = { attempts: 6, firstDelayMs: 500, maxDelayMs: 10_000, sleep: pause };

/**
 * Runs `attempt` until it succeeds. Faults other than {@link TransientFault} are rethrown.
 *
 * @param progress a number that grows as tries make progress (bytes received)
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
      if (fault.retryAfterMs > MAX_RETRY_AFTER_MS) throw askedToWait(fault);
      const delay = Math.min(policy.firstDelayMs * 2 ** (failures - 1), policy.maxDelayMs);
      const wait = Math.max(delay, fault.retryAfterMs);
      log(`${fault.message} Trying again in ${wait} ms.`);
      await policy.sleep(wait, signal);
    }
  }
}

/** The longest wait within a load. A server that asks for a longer one ends the load with an error. */
const MAX_RETRY_AFTER_MS = 60_000;

function askedToWait(fault: TransientFault): TabserveError {
  const { message, retryAfterMs } = fault;
  const advice = `It asks clients to wait ${Math.ceil(retryAfterMs / 1000)} s; try again then.`;
  return new TabserveError('download_failed', `${message} ${advice}`, { cause: fault, details: { retryAfterMs } });
}

/**
 * The delay of a Retry-After header, in milliseconds: a number of seconds, or a date (RFC 9110, 10.2.3). 0 where it is
 * missing, hidden from the page, past, or neither.
 *
 * @param now milliseconds since 1970
 */
export function parseRetryAfter(header: string | null, now: number): number {
  const text = header?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // Date.parse accepts strings that are not HTTP dates: '-1' is one of the year 2001.
  const date = /[a-z]{3}.*:/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? 0 : Math.max(0, date - now);
}

/** The error for work that the caller has aborted. */
export function abortedError(): TabserveError {
  return new TabserveError('aborted', 'Loading was aborted.');
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return sleep(ms, signal).catch(() => {
    throw abortedError();
  });
}
