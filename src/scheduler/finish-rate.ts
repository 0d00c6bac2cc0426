import { UNKNOWN_RETRY_MS } from '../core/waiting-limits.ts';

/** The number of latest ends that count. */
const WINDOW = 16;
const MIN_MS = 50;
const MAX_MS = 60_000;

/**
 * The rate at which requests end, for the retry hint of a refused request. Times are the engine clock's milliseconds.
 */
export class FinishRate {
  readonly #times: number[] = [];

  /** Records requests that have ended. */
  record(count: number, now: number): void {
    for (let i = 0; i < count; i++) this.#times.push(now);
    this.#times.splice(0, this.#times.length - WINDOW - 1);
  }

  /** Milliseconds until `numPlaces` more requests have probably ended: between 50 ms and a minute. */
  estimate(numPlaces: number): number {
    const [first, last] = [this.#times[0], this.#times.at(-1)];
    if (first === undefined || last === undefined || this.#times.length < 2) return UNKNOWN_RETRY_MS;
    const interval = (last - first) / (this.#times.length - 1);
    return Math.round(Math.min(MAX_MS, Math.max(MIN_MS, numPlaces * interval)));
  }
}
