import type { PeerTiming } from '../peer.ts';

/** Notes when tokens come. */
export class TokenClock {
  readonly #start = performance.now();
  #first: number | undefined;
  #last = 0;

  /** A token, or several, came just now. */
  tick(): void {
    this.#last = performance.now() - this.#start;
    this.#first ??= this.#last;
  }

  times(): Pick<PeerTiming, 'ttftMs' | 'lastMs'> {
    if (this.#first === undefined) throw new Error('The engine gave no token.');
    return { ttftMs: this.#first, lastMs: this.#last };
  }
}
