import { TabserveError } from '../core/errors.ts';
import type { GenerateRequest } from '../core/protocol.ts';
import { checkWaitingLimits, UNKNOWN_RETRY_MS } from '../core/waiting-limits.ts';
import { PendingRequest } from './pending-request.ts';
import type { RequestFrame, RequestFrames } from './request-frames.ts';

/** A session's requests that have not ended, in the order in which they came. */
export class PendingRequests {
  readonly #requests = new Map<string, PendingRequest>();
  readonly #onDeadline: (frames: RequestFrames, reason: TabserveError) => void;

  /** @param onDeadline is to end a request whose time is over, here and in the worker */
  constructor(onDeadline: (frames: RequestFrames, reason: TabserveError) => void) {
    this.#onDeadline = onDeadline;
  }

  get size(): number {
    return this.#requests.size;
  }

  /**
   * @param called when the caller asked, by `performance.now()`
   * @throws TabserveError `queue_full` where too many wait that no worker has queued
   */
  add(request: GenerateRequest, called: number): PendingRequest {
    const numWaiting = [...this.#requests.values()].filter(({ isWaiting }) => isWaiting).length;
    checkWaitingLimits({}, numWaiting, numWaiting, () => UNKNOWN_RETRY_MS);
    const pending = new PendingRequest(request, called);
    this.#requests.set(request.requestId, pending);
    pending.startDeadline(() => {
      const message = 'The time given to the request is over; ask for fewer tokens or allow more time.';
      this.#onDeadline(pending.frames, new TabserveError('deadline_exceeded', message));
    });
    return pending;
  }

  [Symbol.iterator](): Iterator<PendingRequest> {
    return this.#requests.values();
  }

  /** Takes in a frame. @param now by `performance.now()` */
  deliver(frame: RequestFrame, now: number): void {
    const pending = this.#requests.get(frame.request);
    if (pending === undefined) return;
    pending.receive(frame, now);
    if (pending.frames.ended) this.#requests.delete(frame.request);
  }

  /** Ends a request here; false where it has ended already. */
  fail(requestId: string, reason: TabserveError): boolean {
    const pending = this.#requests.get(requestId);
    this.#requests.delete(requestId);
    pending?.fail(reason);
    return pending !== undefined;
  }

  failAll(reason: TabserveError): void {
    for (const requestId of this.#requests.keys()) this.fail(requestId, reason);
  }
}
