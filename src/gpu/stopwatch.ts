import { type Contain, uncontained } from './contain.ts';

/** A run that is timed takes at least so long, so that the clock and what surrounds it count little. */
export const MIN_RUN_MS = 20;
/** Runs of the final size; the fastest counts: what disturbs a run only makes it slower. */
const RUNS = 3;
/** The work grows by so much at most from one run to the next: a slow adapter is never handed a second's work at once. */
const MAX_GROWTH = 16;

/** Times work on the GPU by the clock of whoever submits it. */
export class Stopwatch {
  readonly device: GPUDevice;
  /** What a submit without work takes until its end is known. */
  readonly idleMs: number;
  readonly #contain: Contain;

  private constructor(device: GPUDevice, idleMs: number, contain: Contain) {
    this.device = device;
    this.idleMs = idleMs;
    this.#contain = contain;
  }

  /** @param contain runs all that is timed */
  static async start(device: GPUDevice, contain: Contain = uncontained): Promise<Stopwatch> {
    const first = new Stopwatch(device, 0, contain);
    return new Stopwatch(device, await first.#fastest(2 * RUNS, () => device.queue.submit([])), contain);
  }

  /**
   * How much of something the GPU does in a millisecond. The amount grows from 1 until a run takes long enough.
   *
   * @param run submits about `amount` of it, and says how much it was
   * @param most the largest amount worth trying
   */
  async perMs(run: (amount: number) => number, most: number): Promise<number> {
    let amount = this.#contain(() => run(1));
    await this.device.queue.onSubmittedWorkDone(); // the first run sets things up
    let ms = await this.#fastest(2, () => run(amount));
    while (ms < MIN_RUN_MS && amount < most) {
      const growth = Math.min(MAX_GROWTH, Math.max(2, (1.5 * MIN_RUN_MS) / Math.max(ms, 0.1)));
      const wanted = Math.min(most, Math.ceil(amount * growth));
      ms = await this.#fastest(2, () => (amount = run(wanted)));
    }
    ms = Math.min(ms, await this.#fastest(RUNS - 2, () => run(amount)));
    return amount / Math.max(ms - this.idleMs, ms / 2);
  }

  /** Milliseconds from the call until all that it submits is done; the fastest of `runs`. */
  async #fastest(runs: number, work: () => void): Promise<number> {
    let fastest = Infinity;
    for (let i = 0; i < runs; i++) {
      const start = performance.now();
      this.#contain(work);
      await this.device.queue.onSubmittedWorkDone();
      fastest = Math.min(fastest, performance.now() - start);
    }
    return fastest;
  }
}
