const POINTS = 60;
/** Milliseconds that a rate is taken over, at least: a slow model gives a token only every few readings. */
const WINDOW = 1000;

interface Reading {
  readonly at: number;
  readonly count: number;
}

/** A short history of how fast a counter of the engine's grows, a second, from readings now and then. */
export class RateHistory {
  /** Oldest first. */
  readonly samples: number[] = [];
  /** The first of them is the latest that is at least a window old. */
  #readings: Reading[] = [];

  /** `at` in milliseconds; `count` is the engine's since the model was loaded. */
  add(at: number, count: number): void {
    const last = this.#readings.at(-1);
    // A count that fell belongs to another engine: a new model was loaded, or this one anew.
    if (last !== undefined && count < last.count) this.#readings = [];
    this.#readings.push({ at, count });
    while ((this.#readings[1]?.at ?? Infinity) <= at - WINDOW) this.#readings.shift();
    const first = this.#readings[0];
    if (first === undefined || at <= first.at) return;
    this.samples.push(((count - first.count) * 1000) / (at - first.at));
    if (this.samples.length > POINTS) this.samples.shift();
  }
}
