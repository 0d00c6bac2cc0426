import { countBySession } from './request-queue.ts';
import type { RequestState, RunningRequest } from './request-state.ts';
import type { RunningBatch } from './running-batch.ts';

/** Who has to give way for a waiting request to come in: nobody where it can come in anyway, or could not even then. */
export function findVictim(next: RequestState, batch: RunningBatch): RunningRequest | undefined {
  const victim = batch.canAdmit(next) ? undefined : findFairVictim(next, batch.requests);
  return victim !== undefined && batch.canAdmit(next, victim) ? victim : undefined;
}

/**
 * Whose place a waiting request may take that finds none free. A session with nothing running takes it from the session
 * with the most requests running, at least two, and there from the newest that is not of higher priority. So while there
 * are no more sessions than slots, none waits for another's long answers. What the preempted request had computed stays
 * in the prefix cache until its blocks are needed, so giving way costs it little.
 *
 * It does not go back and forth: the session that takes has one running then, and the one that gives had two.
 */
function findFairVictim(next: RequestState, running: readonly RunningRequest[]): RunningRequest | undefined {
  const counts = countBySession(running);
  if (counts.has(next.request.sessionId)) return undefined;
  const countOf = ({ state }: RunningRequest): number => counts.get(state.request.sessionId) ?? 0;
  const candidates = running.filter((each) => countOf(each) > 1 && each.state.priority >= next.priority);
  const most = Math.max(...candidates.map(countOf));
  return candidates.findLast((each) => countOf(each) === most);
}
