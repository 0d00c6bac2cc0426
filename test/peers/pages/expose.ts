import type { PageOptions, PeerPage, PeerTask, TogetherTiming } from '../peer.ts';

/** Why an engine cannot run here: a fact about it or the browser, and no failure. */
export class CannotRun extends Error {}

/** Gives run.mjs what a page of an engine's can do. */
export function exposePeer(page: PeerPage): void {
  Object.assign(globalThis, {
    peer: {
      /** With the milliseconds that it takes, or why it cannot be. */
      async load(options: PageOptions) {
        const start = performance.now();
        try {
          const subject = await page.load(options);
          return { subject, loadMs: performance.now() - start };
        } catch (error) {
          if (error instanceof CannotRun) return { cannot: error.message };
          throw error;
        }
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
