import { yieldTurn } from './yield-turn.ts';

/** Work that may be interrupted wherever it yields. */
export type Work<T> = Generator<undefined, T, undefined>;

/** The worker that does long work also feeds every tab: what one turn of its event loop may take, in milliseconds. */
const TURN_MS = 8;

/** Says when a turn has been long enough, and begins the next. */
export class Turn {
  #began = performance.now();

  get isOver(): boolean {
    return performance.now() - this.#began > TURN_MS;
  }

  async next(): Promise<void> {
    await yieldTurn();
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
