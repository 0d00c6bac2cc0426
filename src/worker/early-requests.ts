import { TabserveError } from '../core/errors.ts';
import type { GenerateRequest, Queued } from '../core/protocol.ts';
import type { SchedulerSnapshot } from '../core/snapshot.ts';
import { checkWaitingLimits, UNKNOWN_RETRY_MS } from '../core/waiting-limits.ts';
import type { ConnectedSession } from './session-registry.ts';

/** A request whose prompt has not been encoded. */
export interface EarlyRequest {
  readonly session: ConnectedSession;
  readonly request: GenerateRequest;
  /** Whether its session allows keeping it in storage. */
  readonly persistPrefix: boolean;
  /** Engine-clock milliseconds of its arrival. */
  readonly arrivalTime: number;
}

interface Waiting extends EarlyRequest {
  readonly queued: (answer: Queued | Promise<Queued>) => void;
  readonly refuse: (reason: unknown) => void;
}

/**
 * Requests for a model that was loaded in a worker that has died, and not yet in this one. There is no tokenizer for their
 * prompts, so they wait as they are until the model is loaded.
 */
export class EarlyRequests {
  readonly #requests = new Map<string, Waiting>();

  get size(): number {
    return this.#requests.size;
  }

  has(requestId: string): boolean {
    return this.#requests.has(requestId);
  }

  /**
   * Adds a request. Resolves when it has been queued. A request that the dead worker had queued is never refused.
   * @throws TabserveError why it will never be queued; `queue_full` where too many wait
   */
  async add(early: EarlyRequest): Promise<Queued> {
    const numOfSession = [...this.#requests.values()].filter(({ session }) => session === early.session).length;
    if (early.request.resume === undefined) checkWaitingLimits({}, this.size, numOfSession, () => UNKNOWN_RETRY_MS);
    return new Promise((queued, refuse) => {
      this.#requests.set(early.request.requestId, { ...early, queued, refuse });
    });
  }

  /** The model is loaded: queues all of them, in the order of their arrival. @param queue may throw why it refuses one */
  queueAll(queue: (early: EarlyRequest) => Queued | Promise<Queued>): void {
    for (const [requestId, early] of this.#requests) {
      this.#requests.delete(requestId);
      try {
        early.queued(queue(early));
      } catch (error) {
        early.refuse(error);
      }
    }
  }

  /** Their part of a snapshot. */
  toSnapshot(): SchedulerSnapshot['requests'] {
    return Array.from(this.#requests.values(), ({ session: { sessionId }, request: { requestId, resume } }) => {
      const numTokens = resume === undefined ? 0 : resume.promptTokenIds.length + resume.tokenIds.length;
      return { requestId, sessionId, state: 'waiting', numTokens, numComputedTokens: 0, blockTable: [] };
    });
  }

  /** Ends a session's request; false where it has none of that name. */
  abort(session: ConnectedSession, requestId: string): boolean {
    if (this.#requests.get(requestId)?.session !== session) return false;
    this.#refuse(requestId, new TabserveError('aborted', 'The caller aborted it.'));
    return true;
  }

  /** Ends the requests of a session that has gone, or has loaded another model. */
  drop(session: ConnectedSession, reason = new TabserveError('closed', 'The session has ended.')): void {
    for (const [requestId, early] of this.#requests) if (early.session === session) this.#refuse(requestId, reason);
  }

  /** Ends requests whose deadline has passed. */
  expire(now: number): void {
    for (const [requestId, { request, arrivalTime }] of this.#requests) {
      const timeoutMs = request.scheduling?.timeoutMs;
      if (timeoutMs === undefined || arrivalTime + timeoutMs > now) continue;
      const message = 'The time given to the request was over before the model was loaded again.';
      this.#refuse(requestId, new TabserveError('deadline_exceeded', message));
    }
  }

  failAll(error: TabserveError): void {
    for (const requestId of this.#requests.keys()) this.#refuse(requestId, error);
  }

  #refuse(requestId: string, reason: TabserveError): void {
    const early = this.#requests.get(requestId);
    this.#requests.delete(requestId);
    early?.refuse(reason);
  }
}
