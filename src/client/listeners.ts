import type { LogFrame } from '../core/frames.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { EngineStatus } from '../core/status.ts';

/** What the page wants to hear of. A listener that throws is the page's mistake: it is told, and nothing stops for it. */
export class Listeners {
  /** Called for each line of the worker's log. */
  onLog: (frame: LogFrame) => void = () => {};
  /** Called when the engine is lost, at each try to have it back, and when it is back. */
  onStatus: (status: EngineStatus) => void = () => {};
  /** Called as a load goes on. */
  onProgress: (progress: LoadProgress) => void = () => {};

  log(frame: LogFrame): void {
    try {
      this.onLog(frame);
    } catch (error) {
      // oxlint-disable-next-line no-console -- it is the log itself that fails
      console.error('tabserve: a log listener failed:', error);
    }
  }

  status(status: EngineStatus): void {
    this.#guard('status', () => this.onStatus(status));
  }

  progress(progress: LoadProgress): void {
    this.#guard('progress', () => this.onProgress(progress));
  }

  #guard(what: string, listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.log({ type: 'log', level: 'warn', message: `A ${what} listener failed: ${String(error)}` });
    }
  }
}
