import { VisibleClock } from '../../../src/core/visible-clock.ts';

interface Timer {
  readonly time: number;
  readonly resolve: () => void;
}

/** Time that passes when a test, or the fake GPU's work, says so. */
export class VirtualTime {
  now = 0;
  readonly clock = new VisibleClock(() => this.now, true);
  #timers: readonly Timer[] = [];

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = { time: this.now + ms, resolve };
      this.#timers = [...this.#timers, timer];
      signal?.addEventListener('abort', () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
        reject(signal.reason as Error);
      });
    });

  /** Passes time, timer by timer, until it is over or the signal is aborted. */
  async pass(ms: number, signal?: AbortSignal): Promise<void> {
    const end = this.now + ms;
    while (signal?.aborted !== true) {
      const [next] = this.#timers.toSorted((a, b) => a.time - b.time);
      if (next === undefined || next.time > end) break;
      this.now = next.time;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      next.resolve();
      await turn();
    }
    if (signal?.aborted !== true) this.now = end;
    await turn();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
