import type { EngineMetrics } from '../../src/index.ts';

export interface MetricsPollerOptions {
  /** `undefined` while there is no engine to ask. */
  readonly read: () => Promise<EngineMetrics> | undefined;
  readonly isBusy: () => boolean;
  readonly onMetrics: (metrics: EngineMetrics) => void;
}

const IDLE_MS = 1000;
const BUSY_MS = 250;

/** Reads the engine's metrics once a second, four times a second while this tab generates, never while it is hidden. */
export class MetricsPoller {
  readonly #options: MetricsPollerOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;

  constructor(options: MetricsPollerOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    document.addEventListener('visibilitychange', this.#wake);
    this.#wake();
  }

  stop(): void {
    this.#running = false;
    document.removeEventListener('visibilitychange', this.#wake);
    clearTimeout(this.#timer);
  }

  readonly #wake = (): void => {
    clearTimeout(this.#timer);
    if (this.#running && document.visibilityState === 'visible') this.#timer = setTimeout(() => void this.#poll(), 0);
  };

  async #poll(): Promise<void> {
    const { read, isBusy, onMetrics } = this.#options;
    try {
      const metrics = await read();
      if (metrics !== undefined && this.#running) onMetrics(metrics);
    } catch {
      // An engine that cannot answer says why to whoever asked it for something; the panel keeps its last figures.
    }
    if (!this.#running || document.visibilityState !== 'visible') return;
    this.#timer = setTimeout(() => void this.#poll(), isBusy() ? BUSY_MS : IDLE_MS);
  }
}
