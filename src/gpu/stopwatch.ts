import { type Contain, uncontained } from './contain.ts';

/** A timed run takes at least this long, so that the clock's resolution and the overhead of submitting hardly count. */
export const MIN_RUN_MS = 20;
/** Runs of the final size. The fastest counts, because disturbances only make a run slower. */
const RUNS = 3;
/**
 * The most by which the work grows from one run to the next, so that a slow adapter never gets a second's work at once.
 */
const MAX_GROWTH = 16;

/** Times work on the GPU by the host's clock. */
export class Stopwatch {
  readonly device: GPUDevice;
  /** Wall time of an empty submit. */
  readonly idleMs: number;
  readonly #contain: Contain;

  private constructor(device: GPUDevice, idleMs: number, contain: Contain) {
    this.device = device;
    this.idleMs = idleMs;
    this.#contain = contain;
  }

  /** @param contain runs all calls that are timed */
  static async start(device: GPUDevice, contain: Contain = uncontained): Promise<Stopwatch> {
    const first = new Stopwatch(device, 0, contain);
    return new Stopwatch(device, await first.#fastest(2 * RUNS, () => device.queue.submit([])), contain);
  }

  /**
   * The amount of work that the GPU does in a millisecond. The amount grows from 1 until a run takes long enough.
   *
   * @param run submits about `amount` of work, and returns the amount it submitted
   * @param most the largest amount worth trying
   */
  async perMs(run: (amount: number) => number, most: number): Promise<number> {
    let amount = this.#contain(() => run(1));
    await this.device.queue.onSubmittedWorkDone(); // the first run includes the setup
    let ms = await this.#fastest(2, () => run(amount));
    while (ms < MIN_RUN_MS && amount < most) {
      const growth = Math.min(MAX_GROWTH, Math.max(2, (1.5 * MIN_RUN_MS) / Math.max(ms, 0.1)));
      const wanted = Math.min(most, Math.ceil(amount * growth));
      ms = await this.#fastest(2, () => (amount = run(wanted)));
    }
    ms = Math.min(ms, await this.#fastest(RUNS - 2, () => run(amount)));
    return amount / Math.max(ms - this.idleMs, ms / 2);
  }

  /** Milliseconds from the call until all the work it submits is complete; the fastest of `runs`. */
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
