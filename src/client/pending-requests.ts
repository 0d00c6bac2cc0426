import type { TabserveError } from '../core/errors.ts';
import { PendingRequest } from './pending-request.ts';
import type { GenerateRequest } from '../core/protocol.ts';
import type { RequestFrame } from './request-frames.ts';

/** A session's requests that have not ended, in the order in which they came. */
export class PendingRequests {
  readonly #requests = new Map<string, PendingRequest>();

  /** @param called when the caller asked, by `performance.now()` */
  add(request: GenerateRequest, called: number): PendingRequest {
    const pending = new PendingRequest(request, called);
    this.#requests.set(request.requestId, pending);
    return pending;
  }

  [Symbol.iterator](): Iterator<PendingRequest> {
    return this.#requests.values();
  }

  /** Takes in a frame. @param now by `performance.now()` */
  deliver(frame: RequestFrame, now: number): void {
    const pending = this.#requests.get(frame.request);
    if (pending === undefined) return;
    pending.frames.push(frame, now);
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
