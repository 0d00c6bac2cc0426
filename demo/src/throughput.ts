const POINTS = 60;
/** Milliseconds that a rate is taken over, at least: a slow model gives a token only every few readings. */
const WINDOW = 1000;

interface Reading {
  readonly at: number;
  readonly tokens: number;
}

/** A short history of the whole origin's tokens a second, from a counter that is read now and then. */
export class Throughput {
  /** Oldest first. */
  readonly samples: number[] = [];
  /** The first of them is the latest that is at least a window old. */
  #readings: Reading[] = [];

  /** `at` in milliseconds; `tokens` is the engine's count since the model was loaded. */
  add(at: number, tokens: number): void {
    const last = this.#readings.at(-1);
    // A count that fell belongs to another engine: a new model was loaded.
    if (last !== undefined && tokens < last.tokens) this.#readings = [];
    this.#readings.push({ at, tokens });
    while ((this.#readings[1]?.at ?? Infinity) <= at - WINDOW) this.#readings.shift();
    const first = this.#readings[0];
    if (first === undefined || at <= first.at) return;
    this.samples.push(((tokens - first.tokens) * 1000) / (at - first.at));
    if (this.samples.length > POINTS) this.samples.shift();
  }
}
