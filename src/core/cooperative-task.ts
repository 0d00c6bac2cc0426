import { yieldToEventLoop } from './yield-to-event-loop.ts';

/** A computation that may be interrupted wherever it yields. */
export type Task<T> = Generator<undefined, T, undefined>;

/** Milliseconds that a task holds the event loop at a time: the worker that runs it also serves every tab. */
const SLICE_MS = 8;

/** Tasks that wait for their next time slice, first come first served. */
const waiting: (() => void)[] = [];
let isGranting = false;

/** Grants one time slice to each task that waits. Before each, everything else in the event loop runs. */
async function grantSlices(): Promise<void> {
  isGranting = true;
  while (waiting.length > 0) {
    await yieldToEventLoop();
    waiting.shift()?.();
  }
  isGranting = false;
}

/** A stretch of time in which a task holds the event loop. However many tasks there are, one slice is granted at a time. */
export class TimeSlice {
  #began = performance.now();

  get isOver(): boolean {
    return performance.now() - this.#began > SLICE_MS;
  }

  async next(): Promise<void> {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (!isGranting) void grantSlices();
    });
    this.#began = performance.now();
  }
}

/** Runs the task to its end without a break. */
export function runSync<T>(task: Task<T>): T {
  for (;;) {
    const step = task.next();
    if (step.done === true) return step.value;
  }
}

/** Runs the task in short time slices, between which the event loop is free. */
export async function runCooperatively<T>(task: Task<T>): Promise<T> {
  const slice = new TimeSlice();
  for (;;) {
    const step = task.next();
    if (step.done === true) return step.value;
    if (slice.isOver) await slice.next();
  }
}

/**
 * Runs the task synchronously if it never yields, else in short time slices that begin later.
 *
 * @returns the task's result, or a promise of it; the promise rejects with the signal's reason at the next time slice
 */
export function runSyncOrCooperatively<T>(task: Task<T>, signal: AbortSignal): T | Promise<T> {
  const first = task.next();
  return first.done === true ? first.value : runInLaterSlices(task, signal);
}

async function runInLaterSlices<T>(task: Task<T>, signal: AbortSignal): Promise<T> {
  const slice = new TimeSlice();
  for (;;) {
    await slice.next();
    signal.throwIfAborted();
    while (!slice.isOver) {
      const step = task.next();
      if (step.done === true) return step.value;
    }
  }
}
