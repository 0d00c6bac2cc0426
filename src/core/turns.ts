import { yieldTurn } from './yield-turn.ts';

/** Work that may be interrupted wherever it yields. */
export type Work<T> = Generator<undefined, T, undefined>;

/** The worker that does long work also feeds every tab: what one turn of its event loop may take, in milliseconds. */
const TURN_MS = 8;

/** Work whose next turn is to come, in the order in which it asked. */
const waiting: (() => void)[] = [];
let isHandingOut = false;

/** Gives one turn to each that waits, and lets all else that waits in the event loop go before each of them. */
async function handOut(): Promise<void> {
  isHandingOut = true;
  while (waiting.length > 0) {
    await yieldTurn();
    waiting.shift()?.();
  }
  isHandingOut = false;
}

/** Says when a turn has been long enough, and begins the next. However much work there is, one turn is taken at a time. */
export class Turn {
  #began = performance.now();

  get isOver(): boolean {
    return performance.now() - this.#began > TURN_MS;
  }

  async next(): Promise<void> {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (!isHandingOut) void handOut();
    });
    this.#began = performance.now();
  }
}

/** Does the work in one go. */
export function atOnce<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Does the work in short turns, between which others get theirs. */
export async function inTurns<T>(work: Work<T>): Promise<T> {
  const turn = new Turn();
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (turn.isOver) await turn.next();
  }
}

/**
 * Does the work at once where it never yields, else in short turns that begin later.
 *
 * @returns what the work does, or a promise of it, which the signal's reason rejects at the work's next turn
 */
export function atOnceOrInTurns<T>(work: Work<T>, signal: AbortSignal): T | Promise<T> {
  const first = work.next();
  return first.done === true ? first.value : inLaterTurns(work, signal);
}

async function inLaterTurns<T>(work: Work<T>, signal: AbortSignal): Promise<T> {
  const turn = new Turn();
  for (;;) {
    await turn.next();
    signal.throwIfAborted();
    while (!turn.isOver) {
      const step = work.next();
      if (step.done === true) return step.value;
    }
  }
}
