import type { SerializedError } from './errors.ts';

/**
 * Whether the engine answers, as its tabs are told. While it does not, requests are kept and go on where they were; they
 * are neither lost nor failed.
 */
export type EngineStatus =
  | { readonly state: 'ready' }
  | {
      /** The GPU, or the worker that had it, is gone, and another is being set up. */
      readonly state: 'recovering';
      /** Why it went, or why the last try to have it back failed. */
      readonly cause: SerializedError;
      /** 1 for the first try. */
      readonly attempt: number;
      /** Milliseconds until the next try; `undefined` while one is under way. */
      readonly retryInMs: number | undefined;
    };
