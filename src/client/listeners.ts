import { textOf } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { EngineStatus } from '../core/status.ts';

export interface ListenerOptions {
  readonly onLog?: ((frame: LogFrame) => void) | undefined;
  readonly onStatus?: ((status: EngineStatus) => void) | undefined;
}

/**
 * The page's listeners. A listener that throws is the page's mistake: it is reported as an event listener's is, and
 * logged, and nothing stops for it, whatever it throws.
 */
export class Listeners {
  /** Called for each line of the worker's log. */
  onLog: (frame: LogFrame) => void;
  /** Called when the engine is lost, at each try to have it back, and when it is back; and when a load stalls. */
  onStatus: (status: EngineStatus) => void;
  /** Called as a load goes on. */
  onProgress: (progress: LoadProgress) => void = () => {};
  #told: EngineStatus = { state: 'ready' };

  constructor({ onLog = () => {}, onStatus = () => {} }: ListenerOptions = {}) {
    this.onLog = onLog;
    this.onStatus = onStatus;
  }

  log(frame: LogFrame): void {
    try {
      this.onLog(frame);
    } catch (error) {
      report(error); // it is the log itself that fails
    }
  }

  warn(message: string): void {
    this.log({ type: 'log', level: 'warn', message });
  }

  status(status: EngineStatus): void {
    this.#told = status;
    this.#guard('status', () => this.onStatus(status));
  }

  /** Reports `ready`, unless that was the last report. */
  ready(): void {
    if (this.#told.state !== 'ready') this.status({ state: 'ready' });
  }

  progress(progress: LoadProgress): void {
    this.#guard('progress', () => this.onProgress(progress));
  }

  #guard(what: string, listener: () => void): void {
    try {
      listener();
    } catch (error) {
      report(error);
      this.warn(`A ${what} listener failed: ${textOf(error)}`);
    }
  }
}

/** Reports to the page's own error handlers and its console. */
function report(error: unknown): void {
  try {
    if ('reportError' in globalThis) globalThis.reportError(error);
    // oxlint-disable-next-line no-console -- where there is no such function
    else console.error('tabserve: a listener failed:', error);
  } catch {
    // The page's console throws as well.
  }
}
