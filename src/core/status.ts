import type { SerializedError } from './errors.ts';

/**
 * The wait of a load without progress:
 *
 * - `worker`: the engine's worker, or the tab that runs it, does not answer this tab
 * - `gpu_lease`: another engine of this origin has the GPU
 * - `gpu_memory`: a load that was aborted still has memory of the GPU
 * - `network`: a server sends nothing, or another worker downloads the same part
 * - `storage`: the browser's storage, or a file of the user's, is not read
 * - `gpu`: the browser's GPU process does not answer
 * - `compiler`: kernels are being compiled
 * - `processor`: the load's own work takes long: the device is slow or busy
 */
export type StallCause = 'worker' | 'gpu_lease' | 'gpu_memory' | 'network' | 'storage' | 'gpu' | 'compiler' | 'processor';

/** A load has made no progress for some time. It goes on by itself when what it waits for comes. */
export interface StalledStatus {
  readonly state: 'stalled';
  readonly waitsFor: StallCause;
  /** The object of the wait and its duration so far, as a sentence. */
  readonly message: string;
  /** Milliseconds without progress. Reported after 10 s, and then each time that it has doubled. */
  readonly stalledMs: number;
}

/**
 * Whether the engine answers, as reported to its tabs. While it does not, requests are kept and continue where they
 * were; they are neither lost nor failed.
 */
export type EngineStatus =
  | { readonly state: 'ready' }
  /** A load that had stalled makes progress again; `ready` follows when it is done. */
  | { readonly state: 'loading' }
  | StalledStatus
  | {
      /** The GPU, or the worker that had it, is gone, or others have its memory; the engine is being set up again. */
      readonly state: 'recovering';
      /** Why it went, or why the last try to have it back failed. */
      readonly cause: SerializedError;
      /** 1 for the first try. */
      readonly attempt: number;
      /**
       * Milliseconds until the next try; `undefined` while one is under way, and where the cause is `model_busy`: it is made
       * as soon as the models that are in the way have answered.
       */
      readonly retryInMs: number | undefined;
    };
