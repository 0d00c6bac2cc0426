import type { EngineSnapshot, SchedulerSnapshot } from '../core/snapshot.ts';
import type { ConnectedSession } from './session-registry.ts';

type Requests = SchedulerSnapshot['requests'];

const NO_POOL: EngineSnapshot['pool'] = { numBlocks: 0, blockSize: 0, numFree: 0, cachedFree: [], shared: [] };

/**
 * Makes an engine's snapshot fit for every tab. Sessions and requests get numbers in the order in which they are first
 * seen, since their real ids would let anyone end them.
 */
export class SnapshotAnonymizer {
  readonly #sessions = new Map<ConnectedSession, number>();
  readonly #requests = new Map<string, string>();
  #numRequests = 0;

  /**
   * @param asking the session that gets the snapshot
   * @param sessions all sessions of the model, in the order in which they came
   * @param scheduler the scheduler's snapshot; without an engine, the pending requests
   */
  anonymize(
    asking: ConnectedSession,
    sessions: readonly ConnectedSession[],
    scheduler: SchedulerSnapshot | Requests,
  ): EngineSnapshot {
    const { requests, maxNumSeqs, pool } = 'pool' in scheduler ? scheduler : withoutEngine(scheduler);
    this.#number(sessions, requests);
    const shown = sessions.map((session) => ({
      session: this.#sessions.get(session) ?? 0,
      isOwn: session === asking,
    }));
    const bySessionId = new Map(sessions.map(({ sessionId }, i) => [sessionId, shown[i]]));
    return {
      sessions: shown,
      // A request of a session that has gone stays for the rest of its step. It belongs to nobody then.
      requests: requests.map(({ requestId, sessionId, ...progress }) => ({
        id: this.#requests.get(requestId) ?? '',
        ...(bySessionId.get(sessionId) ?? { session: 0, isOwn: false }),
        ...progress,
      })),
      maxNumSeqs,
      pool,
    };
  }

  /** Gives numbers to new sessions and requests. The others keep theirs. */
  #number(sessions: readonly ConnectedSession[], requests: Requests): void {
    for (const session of this.#sessions.keys()) if (!sessions.includes(session)) this.#sessions.delete(session);
    const taken = new Set(this.#sessions.values());
    for (const session of sessions) {
      if (this.#sessions.has(session)) continue;
      let number = 1;
      while (taken.has(number)) number++;
      taken.add(number);
      this.#sessions.set(session, number);
    }
    const live = new Set(requests.map(({ requestId }) => requestId));
    for (const requestId of this.#requests.keys()) if (!live.has(requestId)) this.#requests.delete(requestId);
    for (const requestId of live) {
      if (!this.#requests.has(requestId)) this.#requests.set(requestId, `r${++this.#numRequests}`);
    }
  }
}

function withoutEngine(requests: Requests): SchedulerSnapshot {
  return { requests, maxNumSeqs: 0, pool: NO_POOL };
}
