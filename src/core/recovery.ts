import { serializeError, TabserveError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { EngineStatus } from './status.ts';

/** Failures of an engine that another one, on a new device, may not have. */
const RECOVERABLE: readonly ErrorCode[] = ['device_lost', 'out_of_memory'];

/**
 * Failures of loading a model again that may be temporary: after a second crash within two minutes, Chromium offers an
 * origin no adapter for some minutes; a crashed process frees its memory late; other models may use the GPU's memory;
 * the network may be down.
 */
const PASSING: readonly ErrorCode[] = ['device_lost', 'out_of_memory', 'webgpu_unavailable', 'model_busy', 'download_failed'];

/** Failures that end when somebody acts: signs in, gives a new link, chooses a file again, frees storage. */
const REMEDIABLE: readonly ErrorCode[] = ['access_denied', 'model_not_found', 'storage_failed'];

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 5000;

/** Losses in a row, without a token in between, after which it is likely the work itself that kills the GPU. */
const MAX_FRUITLESS_LOSSES = 3;

/** Refusals of memory in a row after which there will not be more. */
const MAX_REFUSALS = 5;

/**
 * Whether a model that has been loaded before may be loaded later, although it has failed to load now. Every other error
 * ends it.
 */
export function mayLoadLater({ code }: TabserveError): boolean {
  return PASSING.includes(code) || REMEDIABLE.includes(code);
}

/**
 * The consequence of an engine's loss:
 *
 * - `retry`: another engine continues with all requests
 * - `fail_work`: the engine's work has probably caused the loss: that work ends, and nothing else
 * - `wait`: the engine is lost repeatedly although it is idle: the next one is started when there is work
 * - `fail`: another engine would fail as well
 */
export type LossAction = 'retry' | 'fail_work' | 'wait' | 'fail';

/** Decides whether a lost engine is worth another try. Only losses of engines that had work tell anything of the work. */
export class RecoveryPolicy {
  #lostAtWork = 0;
  #lostWhileIdle = 0;

  /** A token came out: the engine works. */
  progressed(): void {
    this.#lostAtWork = 0;
    this.#lostWhileIdle = 0;
  }

  /** @param hadWork whether there was work that may have killed it */
  lost({ code }: TabserveError, hadWork: boolean): LossAction {
    if (!RECOVERABLE.includes(code)) return 'fail';
    if (!hadWork) return ++this.#lostWhileIdle > MAX_FRUITLESS_LOSSES ? 'wait' : 'retry';
    this.#lostAtWork++;
    if (this.#lostAtWork <= MAX_FRUITLESS_LOSSES) return 'retry';
    this.#lostAtWork = 0;
    return 'fail_work';
  }
}

/** The tries to have an engine back, and when the next one is due. */
export class Retries {
  /** Of the last try that was begun: 1 for the first. */
  number = 0;
  #refusals = 0;

  begin(): number {
    return ++this.number;
  }

  /**
   * A try has failed.
   *
   * @param isAlone whether nothing but the model itself uses the GPU: then a refusal of memory that repeats will not pass
   * @returns milliseconds until the next one; undefined where what it failed with will not pass by itself
   */
  failed({ code }: TabserveError, isAlone: boolean): number | undefined {
    if (!PASSING.includes(code)) return undefined;
    this.#refusals = code === 'out_of_memory' && isAlone ? this.#refusals + 1 : 0;
    if (this.#refusals >= MAX_REFUSALS) return undefined;
    return Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.number - 1));
  }
}

/** A try to have an engine back. */
export interface Attempt {
  /** 1 for the first. */
  readonly number: number;
  /** Why it is made, or why it has failed. */
  readonly cause: TabserveError;
  /** `undefined` while it is under way, or waits for other models to make room. */
  readonly retryInMs: number | undefined;
}

/** The status of a try, for tabs. */
export function statusOf({ number, cause, retryInMs }: Attempt): EngineStatus {
  return { state: 'recovering', cause: serializeError(cause), attempt: number, retryInMs };
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
export async function retryUntilBack<Back>(connect: () => Promise<Back>, options: RetryOptions): Promise<Back> {
  const { onAttempt, sleep, signal } = options;
  let { cause } = options;
  const retries = new Retries();
  for (;;) {
    const number = retries.begin();
    onAttempt({ number, cause, retryInMs: undefined });
    let retryInMs: number | undefined;
    try {
      return await connect();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TabserveError)) throw error;
      retryInMs = retries.failed(error, true);
      if (retryInMs === undefined) throw error;
      cause = error;
    }
    onAttempt({ number, cause, retryInMs });
    await sleep(retryInMs, signal);
  }
}
