const POINTS = 60;
/** Milliseconds that a speed is taken over, at least. */
const WINDOW = 500;
/** Tokens that come nearer together than this, in milliseconds, came at once: a step of the engine may give several. */
const AT_ONCE = 1;

/** How the tokens of one answer have come: the time between two of them and their number a second, the latest last. */
export class AnswerPace {
  /** Milliseconds a token. */
  readonly latencies: number[] = [];
  /** Tokens a second, over the last half second or more. */
  readonly rates: number[] = [];
  #last: number | undefined;
  #sinceLast = 0;
  /** Token counts and their times; the first is the latest that is at least a window old. */
  #arrivals: { readonly at: number; readonly count: number }[] = [];
  #count = 0;

  /** A token came, `at` in milliseconds. */
  add(at: number): void {
    this.#count++;
    this.#sinceLast++;
    if (this.#last !== undefined && at - this.#last < AT_ONCE) return;
    if (this.#last !== undefined) {
      appendSample(this.latencies, (at - this.#last) / this.#sinceLast);
      this.#addRate(at);
    } else this.#arrivals.push({ at, count: this.#count });
    this.#last = at;
    this.#sinceLast = 0;
  }

  #addRate(at: number): void {
    this.#arrivals.push({ at, count: this.#count });
    while ((this.#arrivals[1]?.at ?? Infinity) <= at - WINDOW) this.#arrivals.shift();
    const first = this.#arrivals[0];
    if (first !== undefined && at > first.at) appendSample(this.rates, ((this.#count - first.count) * 1000) / (at - first.at));
  }
}

function appendSample(samples: number[], sample: number): void {
  samples.push(sample);
  if (samples.length > POINTS) samples.shift();
}

/** A plot in words: `latest 84, median 80, from 70 to 131 ms`. */
export function describeSamples(samples: readonly number[], unit: string, format: (sample: number) => string): string {
  const latest = samples.at(-1);
  if (latest === undefined) return 'nothing yet';
  const sorted = samples.toSorted((a, b) => a - b);
  const [low = 0, median = 0, high = 0] = [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  return `latest ${format(latest)}, median ${format(median)}, from ${format(low)} to ${format(high)} ${unit}`;
}
