import { countBySession } from './request-queue.ts';
import type { RequestState, RunningRequest } from './request-state.ts';
import type { RunningBatch } from './running-batch.ts';

/** The running request to preempt for a waiting one; undefined where it can be admitted anyway, or not even then. */
export function findVictim(next: RequestState, batch: RunningBatch): RunningRequest | undefined {
  const victim = batch.canAdmit(next) ? undefined : findFairVictim(next, batch.requests);
  return victim !== undefined && batch.canAdmit(next, victim) ? victim : undefined;
}

/**
 * The running request whose slot a waiting request may take where no slot is free. A session with nothing running takes
 * it from the session with the most requests running, at least two, and there from the newest that is not of higher
 * priority. So while there are no more sessions than slots, no session waits for another's long answers. The preempted
 * request's computed tokens stay in the prefix cache until its blocks are needed, so preemption costs little.
 *
 * It does not alternate: afterwards the taking session has one request running, while the giving one had two.
 */
function findFairVictim(next: RequestState, running: readonly RunningRequest[]): RunningRequest | undefined {
  const counts = countBySession(running);
  if (counts.has(next.request.sessionId)) return undefined;
  const countOf = ({ state }: RunningRequest): number => counts.get(state.request.sessionId) ?? 0;
  const candidates = running.filter((each) => countOf(each) > 1 && each.state.priority >= next.priority);
  const most = Math.max(...candidates.map(countOf));
  return candidates.findLast((each) => countOf(each) === most);
}
