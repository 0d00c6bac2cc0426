/** Lets one loop sleep until it is set, then resets itself. If nobody waits when it is set, the next `wait` resolves at once. */
export class AutoResetEvent {
  #isSet = false;
  #wake: (() => void) | undefined;

  set(): void {
    this.#isSet = true;
    this.#wake?.();
  }

  /** Resolves once it has been set since the last `wait`. */
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
