/** Lets one loop sleep until somebody has something for it. A ring while nobody waits is kept for the next `wait`. */
export class AutoResetEvent {
  #isSet = false;
  #wake: (() => void) | undefined;

  set(): void {
    this.#isSet = true;
    this.#wake?.();
  }

  /** Resolves when the bell has been rung since the last `wait`. */
  async wait(): Promise<void> {
    if (!this.#isSet) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#isSet = false;
    this.#wake = undefined;
  }
}
