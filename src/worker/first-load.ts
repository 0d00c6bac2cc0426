import { toTabserveError } from '../core/errors.ts';

/** Losses of the GPU after which the load itself is their likely cause. */
const MAX_LOSSES = 3;
/** The pause after the first loss. It doubles with each. */
const PAUSE_MS = 250;

export interface FirstLoadOptions {
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  readonly warn: (message: string) => void;
}

/**
 * Loads a model for the first time. A GPU that is lost meanwhile, as by a crash of the browser's GPU process, does not fail
 * the load unless that repeats. Later loads are the {@link Reloader}'s.
 *
 * @throws TabserveError why a load failed
 */
export async function firstLoad<Model>(load: () => Promise<Model>, options: FirstLoadOptions): Promise<Model> {
  const { sleep, signal, warn } = options;
  for (let losses = 0; ; losses++) {
    try {
      return await load();
    } catch (error) {
      const { code, message } = toTabserveError(error);
      // After a crash there may be no adapter for a moment.
      const mayPass = code === 'device_lost' || (losses > 0 && code === 'webgpu_unavailable');
      if (!mayPass || losses >= MAX_LOSSES) throw error;
      warn(`${code}: ${message} The model is loaded again.`);
      await sleep(PAUSE_MS * 2 ** losses, signal);
    }
  }
}
