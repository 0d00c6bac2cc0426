import type { EngineRequest } from '../core/request.ts';
import { FairShare } from './fair-share.ts';
import type { RequestState, RunningRequest } from './request-state.ts';

/**
 * The waiting requests. The next one is chosen by these rules, each of which decides between requests that are equal by
 * those before:
 *
 * 1. the lowest `priority`;
 * 2. a session with nothing running, so that one request never waits for another tab's fifty;
 * 3. a preempted request, which has waited its turn already;
 * 4. the session that has received the fewest tokens (see {@link FairShare});
 * 5. the session with the fewest requests running;
 * 6. the request that came first.
 */
export class RequestQueue implements Iterable<RequestState> {
  readonly share = new FairShare();
  #requests: RequestState[] = [];

  get length(): number {
    return this.#requests.length;
  }

  /** The number of a session's waiting requests. */
  lengthOf(sessionId: string): number {
    return this.#requests.filter(({ request }) => request.sessionId === sessionId).length;
  }

  /** Adds a new request. @param running the requests that run now. */
  push(state: RequestState, running: readonly RunningRequest[]): void {
    const { sessionId } = state.request;
    if (this.lengthOf(sessionId) === 0) {
      const waiting = sessionsOf(this.#requests);
      const live = sessionsOf([...this.#requests, ...running.map((each) => each.state)]);
      this.share.join(sessionId, waiting, live);
    }
    this.#requests.push(state);
  }

  /** Adds a preempted request. */
  pushPreempted(state: RequestState): void {
    this.#requests.push(state);
  }

  /** The request to run next. @param passed requests to leave out */
  next(running: readonly RunningRequest[], passed: readonly RequestState[] = []): RequestState | undefined {
    const numRunning = countBySession(running);
    const rank = (state: RequestState): readonly number[] => {
      const { sessionId } = state.request;
      const ofSession = numRunning.get(sessionId) ?? 0;
      const hasRun = state.firstScheduledTime !== undefined;
      const charged = this.share.charged(sessionId);
      return [state.priority, ofSession === 0 ? 0 : 1, hasRun ? 0 : 1, charged, ofSession, state.serial];
    };
    let best: { readonly state: RequestState; readonly rank: readonly number[] } | undefined;
    for (const state of this.#requests) {
      if (passed.includes(state)) continue;
      const candidate = { state, rank: rank(state) };
      if (best === undefined || isBefore(candidate.rank, best.rank)) best = candidate;
    }
    return best?.state;
  }

  /** A request leaves the queue to run. @param numUncomputed its tokens that the prefix cache does not hold. */
  admitted(state: RequestState, numUncomputed: number, isFirstTime: boolean): void {
    this.#requests.splice(this.#requests.indexOf(state), 1);
    if (isFirstTime) this.share.admitted(state.request.sessionId, numUncomputed);
  }

  /** Removes every request that matches, and returns them. */
  remove(matches: (request: EngineRequest) => boolean): RequestState[] {
    const removed = this.#requests.filter(({ request }) => matches(request));
    if (removed.length > 0) this.#requests = this.#requests.filter(({ request }) => !matches(request));
    return removed;
  }

  [Symbol.iterator](): Iterator<RequestState> {
    return this.#requests[Symbol.iterator]();
  }
}

/** The number of requests that each session runs. */
export function countBySession(running: readonly RunningRequest[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { state } of running) {
    const { sessionId } = state.request;
    counts.set(sessionId, (counts.get(sessionId) ?? 0) + 1);
  }
  return counts;
}

function sessionsOf(states: Iterable<RequestState>): Set<string> {
  return new Set(Array.from(states, ({ request }) => request.sessionId));
}

/** Lexicographic order. */
function isBefore(a: readonly number[], b: readonly number[]): boolean {
  for (const [i, value] of a.entries()) {
    const other = b[i] ?? 0;
    if (value !== other) return value < other;
  }
  return false;
}
