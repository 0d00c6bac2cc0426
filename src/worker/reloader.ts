import { type TabserveError, toTabserveError } from '../core/errors.ts';
import { type Attempt, Retries } from '../core/recovery.ts';

/** The log lines of a loss, by its consequence. */
export const LOST = {
  retry: ['warn', 'The engine is set up again, and its requests go on.'],
  fail_work: ['error', 'It was lost several times in a row before a token came: what it worked on is given up, as the likely cause.'],
  wait: ['warn', 'It was lost several times in a row: it is set up again with the next request.'],
} as const;

/** GPU memory that a model needs, of the memory that all models may take together. */
export interface NeededMemory {
  readonly neededBytes: number;
  readonly budgetBytes: number;
}

export interface ReloaderOptions {
  /** Loads the model once. */
  readonly load: () => Promise<unknown>;
  /** Whether it is worth another attempt after this failure: whether anyone waits for it. */
  readonly isNeeded: (failure: TabserveError) => boolean;
  /** Whether no other model is on the GPU. */
  readonly isAlone: () => boolean;
  /** Called before each attempt that has a cause, and after each that failed and will be repeated. */
  readonly onAttempt: (attempt: Attempt) => void;
  /** The last attempt has failed for a reason that will not pass by itself. There is no other one before the next request. */
  readonly onGivenUp: (error: TabserveError) => void;
  /** Called at the end: the model is loaded, or nobody needs it for now. */
  readonly onOver: () => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** One reload: all its attempts. */
interface Reload {
  readonly retries: Retries;
  /** Why the model was lost, or why the last attempt failed. */
  readonly cause: TabserveError | undefined;
  /** Memory that the last attempt did not find beside models at work, until an attempt finds it. */
  readonly neededMemory: NeededMemory | undefined;
}

/**
 * - `idle`: nothing is reloaded
 * - `loading`: an attempt is under way
 * - `pausing`: the next attempt follows after a pause
 * - `blocked`: models at work leave too little memory, and no time is set for the next attempt
 */
type ReloaderState =
  | { readonly name: 'idle' }
  | ({ readonly name: 'loading' } & Reload)
  | ({ readonly name: 'pausing'; readonly pause: AbortController } & Reload)
  | ({ readonly name: 'blocked' } & Reload);

const IDLE: ReloaderState = { name: 'idle' };

/**
 * Loads a model again after it was unloaded or lost. The first attempt is made at once. Others follow after pauses that
 * double, for as long as requests wait for the model and the failure may pass.
 */
export class Reloader {
  readonly #options: ReloaderOptions;
  #state = IDLE;
  readonly #waiters = new Set<() => void>();

  constructor(options: ReloaderOptions) {
    this.#options = options;
  }

  /** Whether an attempt is under way, or will be made. */
  get isActive(): boolean {
    return this.#state.name !== 'idle';
  }

  /** Resolves when nothing more is attempted; see {@link ReloaderOptions.onOver}. */
  get over(): Promise<void> {
    return this.isActive ? new Promise((resolve) => this.#waiters.add(resolve)) : Promise.resolve();
  }

  /** The memory that it waits for beside other models, and that the next attempt must find. */
  get neededMemory(): NeededMemory | undefined {
    return this.#state.name === 'idle' ? undefined : this.#state.neededMemory;
  }

  /** Attempts it now, unless an attempt is under way. @param cause why the model was lost, if it was */
  reload(cause?: TabserveError): void {
    const before = this.#state;
    if (before.name === 'loading') return;
    if (before.name === 'pausing') before.pause.abort();
    const { retries, neededMemory, cause: lastCause } =
      before.name === 'idle' ? { retries: new Retries(), neededMemory: undefined, cause: undefined } : before;
    const reload: Reload = { retries, neededMemory, cause: cause ?? lastCause };
    this.#state = { name: 'loading', ...reload };
    const number = retries.begin();
    if (reload.cause !== undefined) this.#options.onAttempt({ number, cause: reload.cause, retryInMs: undefined });
    const isSame = (): boolean => this.#state.name !== 'idle' && this.#state.retries === retries;
    this.#options.load().then(
      () => isSame() && this.end(),
      (error: unknown) => isSame() && this.#failed(retries, toTabserveError(error)),
    );
  }

  /** An attempt has found the memory that it needs. */
  gotMemory(): void {
    if (this.#state.name !== 'idle') this.#state = { ...this.#state, neededMemory: undefined };
  }

  /** Attempts nothing more: the model is loaded, closed, or needed by nobody. */
  end(): void {
    if (this.#state.name === 'idle') return;
    if (this.#state.name === 'pausing') this.#state.pause.abort();
    this.#state = IDLE;
    for (const resolve of this.#waiters) resolve();
    this.#waiters.clear();
    this.#options.onOver();
  }

  #failed(retries: Retries, error: TabserveError): void {
    const { isNeeded, isAlone, onAttempt, onGivenUp } = this.#options;
    const retryInMs = retries.failed(error, isAlone());
    if (retryInMs === undefined) {
      onGivenUp(error); // while it is still loading, so that nothing begins it again
      return this.end();
    }
    if (!isNeeded(error)) return this.end();
    const neededMemory = neededMemoryOf(error);
    const reload: Reload = { retries, cause: error, neededMemory };
    const pause = new AbortController();
    this.#state = neededMemory === undefined ? { name: 'pausing', pause, ...reload } : { name: 'blocked', ...reload };
    onAttempt({ number: retries.number, cause: error, retryInMs: neededMemory === undefined ? retryInMs : undefined });
    if (neededMemory === undefined) void this.#reloadAfter(retryInMs, error, pause.signal);
  }

  async #reloadAfter(ms: number, failure: TabserveError, pause: AbortSignal): Promise<void> {
    await this.#options.sleep(ms, pause).catch(() => {}); // cut short, or over
    if (pause.aborted) return;
    if (this.#options.isNeeded(failure)) this.reload();
    else this.end();
  }
}

function neededMemoryOf({ code, details }: TabserveError): NeededMemory | undefined {
  const { neededBytes, budgetBytes } = details ?? {};
  if (code !== 'model_busy' || neededBytes === undefined || budgetBytes === undefined) return undefined;
  return { neededBytes, budgetBytes };
}
