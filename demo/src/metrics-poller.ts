export interface PollerOptions<Reading> {
  /** `undefined` while there is no engine to ask. */
  readonly read: () => Promise<Reading> | undefined;
  readonly isBusy: () => boolean;
  readonly onReading: (reading: Reading) => void;
}

const IDLE_MS = 1000;
const BUSY_MS = 250;

/** Reads the engine's state once a second, four times a second while it is busy, never while the page is hidden. */
export class MetricsPoller<Reading> {
  readonly #options: PollerOptions<Reading>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isRunning = false;
  #isReading = false;

  constructor(options: PollerOptions<Reading>) {
    this.#options = options;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    document.addEventListener('visibilitychange', this.#wake);
    this.#wake();
  }

  stop(): void {
    this.#isRunning = false;
    document.removeEventListener('visibilitychange', this.#wake);
    clearTimeout(this.#timer);
  }

  readonly #wake = (): void => this.#schedule(0);

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#isRunning && document.visibilityState === 'visible') this.#timer = setTimeout(() => void this.#poll(), ms);
  }

  async #poll(): Promise<void> {
    if (this.#isReading) return; // an engine that is being set up again answers late
    this.#isReading = true;
    const { read, isBusy, onReading } = this.#options;
    try {
      const reading = await read();
      if (reading !== undefined && this.#isRunning) onReading(reading);
    } catch {
      // An engine that cannot answer says why to whoever asked it for something; the panel keeps its last figures.
    }
    this.#isReading = false;
    this.#schedule(isBusy() ? BUSY_MS : IDLE_MS);
  }
}
