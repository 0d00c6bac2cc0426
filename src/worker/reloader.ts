import { type TabserveError, toTabserveError } from '../core/errors.ts';
import { type Attempt, Retries } from '../core/recovery.ts';

/** What is told of a loss, by what follows from it. */
export const LOST = {
  again: ['warn', 'The engine is set up again, and its requests go on.'],
  kills: ['error', 'It was lost several times in a row before a token came: what it worked on is given up, as the likely cause.'],
  rest: ['warn', 'It was lost several times in a row: it is set up again with the next request.'],
} as const;

/** Memory of the GPU that a model needs, of what all models may take together. */
export interface NeededMemory {
  readonly neededBytes: number;
  readonly budgetBytes: number;
}

export interface ReloaderOptions {
  /** Tries once. */
  readonly load: () => Promise<unknown>;
  /** Whether requests wait for it. */
  readonly isNeeded: () => boolean;
  /** Whether no other model is on the GPU. */
  readonly isAlone: () => boolean;
  /** Told before each try for which there is a cause, and after each that failed and will be followed by another. */
  readonly onAttempt: (attempt: Attempt) => void;
  /** The last try has failed with what will not pass by itself: there is none before somebody asks again. */
  readonly onGivenUp: (error: TabserveError) => void;
  /** It is over: the model is loaded, or nobody needs it for now. */
  readonly onOver: () => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * The way of a model back to the GPU, after a rest or a loss: tried at once, then after pauses that double for as long as
 * requests wait for it and what it fails with may pass. Where other models that are at work leave no room, no time is set
 * for the next try: {@link neededMemory} says what it waits for.
 */
export class Reloader {
  readonly #options: ReloaderOptions;
  #retries: Retries | undefined;
  #cause: TabserveError | undefined;
  #pause: AbortController | undefined;
  #isTrying = false;
  #neededMemory: NeededMemory | undefined;

  constructor(options: ReloaderOptions) {
    this.#options = options;
  }

  /** Whether it is being tried, or will be. */
  get isActive(): boolean {
    return this.#retries !== undefined;
  }

  /** The room beside other models that it waits for, and that a try for which there is enough must find. */
  get neededMemory(): NeededMemory | undefined {
    return this.#neededMemory;
  }

  /** Tries now, unless that is under way. @param cause why the model was lost, if it was */
  reload(cause = this.#cause): void {
    if (this.#isTrying) return;
    this.#endWait();
    this.#isTrying = true;
    this.#cause = cause;
    const retries = (this.#retries ??= new Retries());
    const number = retries.begin();
    if (cause !== undefined) this.#options.onAttempt({ number, cause, retryInMs: undefined });
    const failed = (error: unknown): void => {
      if (this.#retries === retries) this.#failed(retries, toTabserveError(error));
    };
    this.#options.load().then(() => this.#retries === retries && this.end(), failed);
  }

  /** It has the room that it has waited for. */
  gotMemory(): void {
    this.#neededMemory = undefined;
  }

  /** Nothing more is tried: the model is loaded, gone, or needed by nobody. */
  end(): void {
    if (this.#retries === undefined) return;
    this.#endWait();
    this.#retries = undefined;
    this.#neededMemory = undefined;
    this.#cause = undefined;
    this.#isTrying = false;
    this.#options.onOver();
  }

  #failed(retries: Retries, error: TabserveError): void {
    const { isNeeded, isAlone, onAttempt, onGivenUp } = this.#options;
    this.#isTrying = false;
    const retryInMs = retries.failed(error, isAlone());
    if (retryInMs === undefined) {
      onGivenUp(error); // before it is over, so that nothing is left for which it would begin again
      return this.end();
    }
    if (!isNeeded()) return this.end();
    this.#cause = error;
    this.#neededMemory = neededMemoryOf(error);
    onAttempt({ number: retries.number, cause: error, retryInMs: this.#neededMemory === undefined ? retryInMs : undefined });
    if (this.#neededMemory === undefined) void this.#tryAfter(retryInMs);
  }

  async #tryAfter(ms: number): Promise<void> {
    const pause = new AbortController();
    this.#pause = pause;
    await this.#options.sleep(ms, pause.signal).catch(() => {}); // hastened, or over
    if (pause.signal.aborted) return;
    if (this.#options.isNeeded()) this.reload();
    else this.end();
  }

  #endWait(): void {
    this.#pause?.abort();
    this.#pause = undefined;
  }
}

function neededMemoryOf({ code, details }: TabserveError): NeededMemory | undefined {
  const { neededBytes, budgetBytes } = details ?? {};
  if (code !== 'model_busy' || neededBytes === undefined || budgetBytes === undefined) return undefined;
  return { neededBytes, budgetBytes };
}
