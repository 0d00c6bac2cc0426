import type { PageOptions, PeerPage, PeerTask, PeerTiming, TogetherTiming } from '../peer.ts';

/** Gives run.mjs what a page of an engine's can do. */
export function exposePeer(page: PeerPage): void {
  Object.assign(globalThis, {
    peer: {
      /** With the milliseconds that it takes. */
      async load(options: PageOptions) {
        const start = performance.now();
        const subject = await page.load(options);
        return { subject, loadMs: performance.now() - start };
      },
      ask: (task: PeerTask) => page.ask(task),
      async askTogether(task: PeerTask, count: number): Promise<TogetherTiming> {
        const start = performance.now();
        const answers = await Promise.all(Array.from({ length: count }, () => page.ask(task)));
        return { wallMs: performance.now() - start, answers };
      },
      gpuSubmits: () => page.gpuSubmits(),
    },
  });
}

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
