import type { RequestQueue } from './request-queue.ts';
import type { RequestState } from './request-state.ts';
import type { RunningBatch } from './running-batch.ts';

/**
 * The waiting request to admit next, or `undefined` where none can be. It is the queue's first, unless that one waits
 * for a prefix that a running request is about to compute. Then it is passed over for the next of the same priority
 * that waits for no prefix.
 *
 * A request that is passed over loses nothing: the one admitted leaves a slot and blocks for each that it passes. Those
 * are considered again in every step, and wait only while their prefix is being computed.
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
