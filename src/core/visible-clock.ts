/**
 * A clock that stands still while all tabs of a model are hidden. Browsers throttle hidden tabs, so times taken meanwhile
 * are wrong.
 */
export class VisibleClock {
  readonly #clock: () => number;
  readonly #listeners = new Set<() => void>();
  /** Of earlier visible spans, in milliseconds. */
  #ms = 0;
  /** When a tab became visible; undefined while all are hidden. */
  #visibleSince: number | undefined;
  #numHides = 0;

  /** @param clock in milliseconds */
  constructor(clock: () => number, isVisible = false) {
    this.#clock = clock;
    if (isVisible) this.#visibleSince = clock();
  }

  /** Whether a tab is visible. */
  get isVisible(): boolean {
    return this.#visibleSince !== undefined;
  }

  /** How many times the last visible tab was hidden. A time is good if this is the same after it as before. */
  get numHides(): number {
    return this.#numHides;
  }

  /** Milliseconds that a tab has been visible so far. */
  now(): number {
    return this.#visibleSince === undefined ? this.#ms : this.#ms + this.#clock() - this.#visibleSince;
  }

  setVisible(isVisible: boolean): void {
    if (isVisible === this.isVisible) return;
    this.#ms = this.now();
    this.#visibleSince = isVisible ? this.#clock() : undefined;
    if (!isVisible) this.#numHides++;
    for (const listener of this.#listeners) listener();
  }

  /** Calls back whenever it stops or goes on, until the signal is aborted. */
  onChange(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }
}
