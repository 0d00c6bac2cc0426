/** Why something was not measured. */
export const NO_TIME = 'no time left';

/** The time that a part of the bench may take. */
export class Budget {
  readonly #endsAt: number;
  readonly #now: () => number;

  /** @param now milliseconds */
  constructor(seconds: number, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#endsAt = now() + seconds * 1000;
  }

  get isSpent(): boolean {
    return this.#now() >= this.#endsAt;
  }

  /**
   * Times something again and again.
   *
   * @param repeats how often; fewer, but once at least, where the time runs out
   * @param measure the milliseconds of one time
   */
  async repeat(repeats: number, measure: () => Promise<number>): Promise<number[]> {
    const samples: number[] = [];
    do samples.push(await measure());
    while (samples.length < repeats && !this.isSpent);
    return samples;
  }
}
