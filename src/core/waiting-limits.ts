import { TabserveError } from './errors.ts';
import type { SchedulerConfig } from './scheduler-output.ts';

/** The retry hint for a refused caller while no request has ended yet. */
export const UNKNOWN_RETRY_MS = 1000;

const DEFAULT_MAX_WAITING = 256;
const DEFAULT_MAX_WAITING_PER_SESSION = 128;

/**
 * Refuses a request that a queue has no room for: the scheduler's, or that of a worker or a tab while there is no engine.
 * @param numWaiting, numOfSession how many wait already, of all sessions and of the request's own.
 * @param retryAfterMs when a given number of places has probably become free.
 * @throws TabserveError `queue_full`, with `details.retryAfterMs`.
 */
export function checkWaitingLimits(
  config: Pick<SchedulerConfig, 'maxNumWaiting' | 'maxNumWaitingPerSession'>,
  numWaiting: number,
  numOfSession: number,
  retryAfterMs: (numPlaces: number) => number,
): void {
  const maxOfSession = config.maxNumWaitingPerSession ?? DEFAULT_MAX_WAITING_PER_SESSION;
  const maxNumWaiting = config.maxNumWaiting ?? DEFAULT_MAX_WAITING;
  const overall = numWaiting - maxNumWaiting + 1;
  const ofSession = numOfSession - maxOfSession + 1;
  if (overall <= 0 && ofSession <= 0) return;
  const details = { retryAfterMs: retryAfterMs(Math.max(overall, ofSession)) };
  const who = ofSession > 0 ? `${numOfSession} requests of this tab` : `${numWaiting} requests`;
  const message = `${who} wait already; try again in ${details.retryAfterMs} ms, or wait for some to end.`;
  throw new TabserveError('queue_full', message, { details });
}
