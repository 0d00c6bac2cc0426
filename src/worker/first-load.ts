import { toTabserveError } from '../core/errors.ts';
import { Retries } from '../core/recovery.ts';

/** Losses of the GPU after which the load itself is their likely cause. */
const MAX_LOSSES = 3;

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
  const retries = new Retries();
  for (;;) {
    const number = retries.begin();
    try {
      return await load();
    } catch (error) {
      const failure = toTabserveError(error);
      const { code, message } = failure;
      // After a crash there may be no adapter for a moment.
      const isLoss = code === 'device_lost' || (number > 1 && code === 'webgpu_unavailable');
      const retryInMs = isLoss && number <= MAX_LOSSES ? retries.failed(failure, true) : undefined;
      if (retryInMs === undefined) throw error;
      warn(`${code}: ${message} The model is loaded again.`);
      await sleep(retryInMs, signal);
    }
  }
}
