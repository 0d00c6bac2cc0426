import { untilAborted } from '../core/until-aborted.ts';

/**
 * Loads that were given up and may still have GPU memory. Other loads wait for them before they take memory. A load that
 * is given up stops waiting, so no load that was given up waits for another one or for itself.
 */
export class AbandonedLoads {
  readonly #leaving = new Set<Promise<void>>();
  readonly #onLast: () => void;

  /** @param onLast called when the last of them has freed its memory */
  constructor(onLast: () => void) {
    this.#onLast = onLast;
  }

  /** Whether none is left. */
  get isEmpty(): boolean {
    return this.#leaving.size === 0;
  }

  /** @param settled resolves when the load has freed its memory; never rejects */
  add(settled: Promise<void>): void {
    const gone = settled.then(() => {
      this.#leaving.delete(gone);
      if (this.isEmpty) this.#onLast();
    });
    this.#leaving.add(gone);
  }

  /** Resolves when none is left. @param signal of the load that waits @throws its reason once it is aborted */
  async settled(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (!this.isEmpty) await untilAborted(Promise.all(this.#leaving), signal);
  }
}
