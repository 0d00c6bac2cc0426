import { untilAborted } from '../core/until-aborted.ts';

/**
 * Loads that were given up and may still have memory of the GPU. A load that is wanted waits for them before it takes
 * memory itself, and stops waiting when it is given up in turn. So no load that was given up waits for another one, and
 * none can wait for itself.
 */
export class AbandonedLoads {
  readonly #leaving = new Set<Promise<void>>();
  readonly #onLast: () => void;

  /** @param onLast called when the last of them has let go of its memory */
  constructor(onLast: () => void) {
    this.#onLast = onLast;
  }

  /** Whether none is left. */
  get isEmpty(): boolean {
    return this.#leaving.size === 0;
  }

  /** @param settled resolves when the load has let go of its memory; never rejects */
  add(settled: Promise<void>): void {
    const gone = settled.then(() => {
      this.#leaving.delete(gone);
      if (this.isEmpty) this.#onLast();
    });
    this.#leaving.add(gone);
  }

  /** Resolves when none is left. @param signal of the load that waits; its reason is thrown once it is aborted */
  async settled(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (!this.isEmpty) await untilAborted(Promise.all(this.#leaving), signal);
  }
}
