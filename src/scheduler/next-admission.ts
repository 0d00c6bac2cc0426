import type { RequestQueue } from './request-queue.ts';
import type { RequestState } from './request-state.ts';
import type { RunningBatch } from './running-batch.ts';

/**
 * Which waiting request comes in next, or `undefined` where none may at the moment. It is the queue's first, unless that
 * one waits for a prefix that a running request is about to compute: then it is passed over, to the next of the same
 * priority that waits for no prefix.
 *
 * Passing over costs nobody its turn: whoever overtakes leaves a slot and blocks for each request that it passes. They
 * are looked at again in every step, and wait no longer than their prefix is being computed.
 */
export function findNext(waiting: RequestQueue, batch: RunningBatch): RequestState | undefined {
  const passed: RequestState[] = [];
  for (;;) {
    const next = waiting.next(batch.requests, passed);
    if (next === undefined || next.priority !== (passed[0] ?? next).priority) return undefined;
    if (!batch.isBeingComputed(next)) return passed.length === 0 || batch.canAdmitBeside(next, passed) ? next : undefined;
    passed.push(next);
    if (passed.length >= batch.numFreeSlots) return undefined;
  }
}
