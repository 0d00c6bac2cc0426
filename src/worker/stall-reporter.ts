import type { ModelInstance } from './model-instance.ts';

const CHECK_MS = 1000;

export interface StallReporterOptions {
  readonly instances: ReadonlySet<ModelInstance>;
  readonly log: (instance: ModelInstance, level: 'warn', message: string) => void;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Reports loads that make no progress to their sessions. */
export class StallReporter {
  readonly #options: StallReporterOptions;
  #isRunning = false;

  constructor(options: StallReporterOptions) {
    this.#options = options;
  }

  /** Checks all loads once a second, for as long as anything loads. */
  async start(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { instances, log, sleep } = this.#options;
    for (;;) {
      await sleep(CHECK_MS);
      const loading = [...instances].filter(({ lifecycle }) => lifecycle.isLoading);
      if (loading.length === 0) break;
      for (const instance of loading) {
        const stalled = instance.sessions.checkLoad();
        if (stalled !== undefined) log(instance, 'warn', `"${instance.id}": ${stalled.message}`);
      }
    }
    this.#isRunning = false;
  }
}
