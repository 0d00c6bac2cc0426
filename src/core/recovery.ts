import { TabserveError } from './errors.ts';
import type { ErrorCode } from './errors.ts';

/** What an engine fails with that another one, on a new device, need not. */
const RECOVERABLE: readonly ErrorCode[] = ['device_lost', 'out_of_memory'];

/**
 * What loading may fail with for a while after a GPU was lost: after a second crash within two minutes, Chromium offers
 * an origin no adapter for some minutes, and a crashed process gives its memory back late.
 */
const PASSING: readonly ErrorCode[] = ['device_lost', 'out_of_memory', 'webgpu_unavailable'];

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 5000;

/** Losses in a row, without a token in between, after which it is likely the work itself that kills the GPU. */
const MAX_FRUITLESS_LOSSES = 3;

/** Refusals of memory in a row after which there will not be more. */
const MAX_REFUSALS = 5;

/** Decides whether a lost engine is worth another try. */
export class RecoveryPolicy {
  #fruitlessLosses = 0;

  /** A token came out: the engine works. */
  progressed(): void {
    this.#fruitlessLosses = 0;
  }

  /** An engine failed with an error; whether to load the model again. */
  isWorthwhile({ code }: TabserveError): boolean {
    if (!RECOVERABLE.includes(code)) return false;
    this.#fruitlessLosses++;
    return this.#fruitlessLosses <= MAX_FRUITLESS_LOSSES;
  }
}

/** A try to have an engine back. */
export interface Attempt {
  /** 1 for the first. */
  readonly number: number;
  /** Why it is made, or why it has failed. */
  readonly cause: TabserveError;
  /** `undefined` while it is under way. */
  readonly retryInMs: number | undefined;
}

export interface RetryOptions {
  /** Why it was lost. */
  readonly cause: TabserveError;
  /** Told before each try and after each that failed and will be followed by another. */
  readonly onAttempt: (attempt: Attempt) => void;
  /** Rejects with the signal's reason once that is aborted. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Tries until it works: at once, then after pauses that double, for as long as what it fails with may pass.
 *
 * @throws TabserveError what will not pass, or the signal's reason
 */
export async function retryUntilBack<Loaded>(load: () => Promise<Loaded>, options: RetryOptions): Promise<Loaded> {
  const { onAttempt, sleep, signal } = options;
  let { cause } = options;
  let refusals = 0;
  for (let number = 1; ; number++) {
    onAttempt({ number, cause, retryInMs: undefined });
    try {
      return await load();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TabserveError) || !PASSING.includes(error.code)) throw error;
      refusals = error.code === 'out_of_memory' ? refusals + 1 : 0;
      if (refusals >= MAX_REFUSALS) throw error;
      cause = error;
    }
    const retryInMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (number - 1));
    onAttempt({ number, cause, retryInMs });
    await sleep(retryInMs, signal);
  }
}
