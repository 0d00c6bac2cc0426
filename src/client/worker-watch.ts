import { type LoadWait, LoadWatch } from '../core/load-watch.ts';
import { sleep } from '../core/sleep.ts';
import type { EngineStatus } from '../core/status.ts';

/** How often it is looked whether the worker has said anything. */
const LOOK_MS = 1000;

/** A worker that has said nothing for so long is asked for a sign of life: a load may have nothing to say. */
const ASK_AFTER_MS = 5000;

/** A tab's wait before it has a worker. */
export const LOCK: LoadWait = { cause: 'worker', what: 'a Web Lock of this tab’s own, which the browser does not grant' };
export const LINK: LoadWait = {
  cause: 'worker',
  what: 'a worker with the engine: the tab that is to run it may be frozen, or its worker does not start',
};
export const ANSWER: LoadWait = { cause: 'worker', what: 'the engine’s worker, which does not answer' };

/**
 * A tab's watch over the worker, while a session is opened, loads, or is set up again: the worker tells by itself what a
 * load waits for, but not that it hangs, is frozen, or never came up.
 */
export class WorkerWatch {
  readonly #ask: () => Promise<unknown>;
  readonly #onStatus: (status: EngineStatus) => void;
  readonly #watch: LoadWatch;
  #numTasks = 0;
  #isLooking = false;
  #isAsked = false;

  /**
   * @param ask asks the worker for a sign of life; may never settle
   * @param onStatus called when the worker does not answer (`stalled`), and when it does again (`loading`)
   */
  constructor(ask: () => Promise<unknown>, onStatus: (status: EngineStatus) => void) {
    this.#ask = ask;
    this.#onStatus = onStatus;
    this.#watch = new LoadWatch(() => performance.now(), () => onStatus({ state: 'loading' }));
  }

  /** Watches while a task is under way that needs the worker. That it ends is no sign of life: a link may lead nowhere. */
  async during<Result>(wait: LoadWait, task: Promise<Result>): Promise<Result> {
    if (this.#numTasks === 0) {
      this.#watch.begin();
      this.#isAsked = false;
    }
    this.#numTasks++;
    void this.#lookOn();
    const endWait = this.#watch.beginWait(wait);
    try {
      return await task;
    } finally {
      endWait(false);
      this.#numTasks--;
      if (this.#numTasks === 0) this.#watch.end();
    }
  }

  /** The worker has said something. */
  heard(): void {
    this.#isAsked = false;
    this.#watch.progressed();
  }

  async #lookOn(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    while (this.#numTasks > 0) {
      await sleep(LOOK_MS);
      const stalled = this.#watch.look();
      if (stalled !== undefined) this.#onStatus(stalled);
      else if (this.#watch.stalledMs >= ASK_AFTER_MS && !this.#isAsked) this.#askForLife();
    }
    this.#isLooking = false;
  }

  #askForLife(): void {
    this.#isAsked = true;
    this.#ask().then(
      () => this.heard(),
      () => {}, // what fails the worker fails the task as well
    );
  }
}
