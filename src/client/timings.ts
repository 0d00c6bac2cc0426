import type { RequestTimings } from '../core/metrics.ts';

/** Times one request in its tab. Times are in milliseconds of one clock. */
export class RequestTimer {
  readonly #called: number;
  #firstText: number | undefined;
  #firstToken = 0;
  #lastToken = 0;
  #tokens = 0;
  #queueMs: number | undefined;

  /** @param called when the caller asked for an answer */
  constructor(called: number) {
    this.#called = called;
  }

  /** A token has reached the tab. */
  token(now: number, text: string): void {
    if (this.#tokens === 0) this.#firstToken = now;
    this.#lastToken = now;
    this.#tokens++;
    this.#text(now, text);
  }

  /** The answer has ended, perhaps with text that was held back. */
  finish(now: number, text: string, queueMs: number): void {
    this.#queueMs = queueMs;
    this.#text(now, text);
  }

  timings(): RequestTimings {
    const gaps = this.#tokens - 1;
    const decodeMs = this.#lastToken - this.#firstToken;
    return {
      queue_ms: this.#queueMs,
      // TTFT stops at the first text: a token that shows nothing is not what a reader waits for.
      ttft_ms: this.#firstText === undefined ? undefined : this.#firstText - this.#called,
      itl_ms: gaps < 1 ? undefined : decodeMs / gaps,
      tokens_per_second: gaps < 1 || decodeMs === 0 ? undefined : (gaps * 1000) / decodeMs,
    };
  }

  #text(now: number, text: string): void {
    if (text !== '') this.#firstText ??= now;
  }
}

/** The timings of an answer of several choices: its first sign of life, and how fast all of them come together. */
export function mergeTimings(choices: readonly RequestTimings[]): RequestTimings {
  const defined = (of: (timings: RequestTimings) => number | undefined): readonly number[] =>
    choices.map(of).filter((value) => value !== undefined);
  const least = (values: readonly number[]) => (values.length === 0 ? undefined : Math.min(...values));
  const sum = (values: readonly number[]) => (values.length === 0 ? undefined : values.reduce((a, b) => a + b));
  const gaps = defined((timings) => timings.itl_ms);
  const gapSum = sum(gaps);
  return {
    queue_ms: least(defined((timings) => timings.queue_ms)),
    ttft_ms: least(defined((timings) => timings.ttft_ms)),
    itl_ms: gapSum === undefined ? undefined : gapSum / gaps.length,
    tokens_per_second: sum(defined((timings) => timings.tokens_per_second)),
  };
}
