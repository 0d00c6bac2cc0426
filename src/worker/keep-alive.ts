import type { ModelInstance } from './model-instance.ts';

/** How long a model stays on the GPU unless `keepAliveMs` says otherwise. */
const DEFAULT_KEEP_ALIVE_MS = 600_000;

/** The longest timer of the platform. A longer time is as good as for ever. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface KeepAliveOptions {
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called when a model has been out of use for as long as its `keepAliveMs`. */
  readonly onExpired: (instance: ModelInstance) => void;
}

/** Watches which models are out of use: on the GPU, without a request, and all their tabs hidden. */
export class KeepAlive {
  readonly #options: KeepAliveOptions;
  readonly #timers = new Map<ModelInstance, AbortController>();

  constructor(options: KeepAliveOptions) {
    this.#options = options;
  }

  /** Called whenever a load, a request or a session has begun or ended, and when a tab was hidden or shown. */
  update(instances: Iterable<ModelInstance>): void {
    const unused = new Set([...instances].filter(isOutOfUse));
    for (const [instance, timer] of this.#timers) {
      if (unused.has(instance)) continue;
      timer.abort();
      this.#timers.delete(instance);
    }
    for (const instance of unused) if (!this.#timers.has(instance)) void this.#start(instance);
  }

  async #start(instance: ModelInstance): Promise<void> {
    const ms = instance.options.keepAliveMs ?? DEFAULT_KEEP_ALIVE_MS;
    if (ms > MAX_TIMER_MS) return;
    const timer = new AbortController();
    this.#timers.set(instance, timer);
    await this.#options.sleep(ms, timer.signal).catch(() => {}); // in use again
    if (timer.signal.aborted) return;
    this.#timers.delete(instance);
    if (isOutOfUse(instance)) this.#options.onExpired(instance); // a request may have come that has no token yet
  }
}

/** A model without a session is left alone: it stays for the next one, until another model is loaded. */
function isOutOfUse({ lifecycle, numRequests, sessions }: ModelInstance): boolean {
  if (lifecycle.model === undefined || numRequests > 0 || sessions.size === 0) return false;
  return !sessions.isAnyVisible;
}
