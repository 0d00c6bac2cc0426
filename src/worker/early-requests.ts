import { TabserveError } from '../core/errors.ts';
import type { GenerateRequest, Queued } from '../core/protocol.ts';
import type { SchedulerSnapshot } from '../core/snapshot.ts';
import { checkWaitingLimits, UNKNOWN_RETRY_MS } from '../core/waiting-limits.ts';
import type { ConnectedSession } from './session-registry.ts';

/** A request that is kept as it was asked. */
export interface EarlyRequest {
  readonly session: ConnectedSession;
  readonly request: GenerateRequest;
  /** Whether its session allows that it is kept in storage. */
  readonly persistPrefix: boolean;
  /** When it came, in the engine clock's milliseconds. */
  readonly arrivalTime: number;
}

interface Waiting extends EarlyRequest {
  readonly queued: (answer: Queued | Promise<Queued>) => void;
  readonly refuse: (reason: unknown) => void;
}

/**
 * Requests for a model that has been loaded in a worker that has died, and not yet in this one. There is no tokenizer to
 * read their prompts with, so they are kept as they were asked until it is loaded.
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
   * Keeps a request. Resolves when it has been queued. One that the worker that has died had queued is never refused.
   * @throws TabserveError why it never will be queued; `queue_full` where too many wait
   */
  async add(early: EarlyRequest): Promise<Queued> {
    const numOfSession = [...this.#requests.values()].filter(({ session }) => session === early.session).length;
    if (early.request.resume === undefined) checkWaitingLimits({}, this.size, numOfSession, () => UNKNOWN_RETRY_MS);
    return new Promise((queued, refuse) => {
      this.#requests.set(early.request.requestId, { ...early, queued, refuse });
    });
  }

  /** The model is loaded: queues all of them, in the order in which they came. @param queue may throw why it refuses one */
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

  /** As they are shown. */
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

  /** Ends those of a session that has gone, or has loaded another model. */
  drop(session: ConnectedSession, reason = new TabserveError('closed', 'The session has ended.')): void {
    for (const [requestId, early] of this.#requests) if (early.session === session) this.#refuse(requestId, reason);
  }

  /** Ends those whose deadline has come. */
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
