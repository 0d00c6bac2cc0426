import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { ModelState } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import { mayLoadLater } from '../core/recovery.ts';
import type { LoadContext, ServedModel } from './served-model.ts';

export type LoadAttempt = Pick<LoadContext, 'onProgress' | 'signal'>;

/** A load that has begun. */
interface LoadUnderWay {
  readonly result: Promise<ServedModel>;
  /** The last progress, for whoever joins it. */
  progress: LoadProgress | undefined;
}

/**
 * - `new`: nothing has been done yet
 * - `loading`: its first load. If that fails, the model is closed
 * - `ready`: it answers
 * - `unloaded`: it was loaded before, here or in a worker that has died, and can be loaded again
 * - `reloading`: a load of a model that was loaded before. If that fails for a reason that may pass, it is unloaded again
 * - `closed`: unloaded for good, or failed
 *
 * `last` is the model that was loaded last: its tokenizer and its name outlive its GPU memory. It is undefined where only a
 * worker that has died had loaded it.
 */
export type LifecycleState =
  | { readonly name: 'new' }
  | { readonly name: 'loading'; readonly load: LoadUnderWay }
  | { readonly name: 'ready'; readonly model: ServedModel; readonly stop: AbortController }
  | { readonly name: 'unloaded'; readonly last: ServedModel | undefined }
  | { readonly name: 'reloading'; readonly load: LoadUnderWay; readonly last: ServedModel | undefined }
  | { readonly name: 'closed'; readonly reason: TabserveError; readonly settled: Promise<void> };

/** The names of the states in metrics. */
const MODEL_STATES = {
  new: 'loading', loading: 'loading', ready: 'ready', unloaded: 'parked', reloading: 'recovering', closed: 'failed',
} as const satisfies Record<LifecycleState['name'], ModelState>;

const GIVEN_UP = new TabserveError('aborted', 'The load was given up: nobody waits for it any more.');
const UNUSED = new TabserveError('aborted', 'The model was unloaded: nobody used it any more.');

export interface ModelLifecycleOptions {
  /** Loads the model once. */
  readonly load: (attempt: LoadAttempt) => Promise<ServedModel>;
  /** Called with each model that can answer from then on, before anyone who waits for it. @param stop aborted when it is unloaded */
  readonly onReady: (model: ServedModel, stop: AbortSignal) => void;
}

/** A model from the moment it is asked for until it is unloaded for good. */
export class ModelLifecycle {
  readonly #options: ModelLifecycleOptions;
  readonly #listeners = new Set<LoadContext['onProgress']>();
  /** Aborted when it is closed. */
  readonly #cancel = new AbortController();
  #state: LifecycleState = { name: 'new' };

  constructor(options: ModelLifecycleOptions) {
    this.#options = options;
  }

  get state(): LifecycleState {
    return this.#state;
  }

  /** As metrics show it. */
  get modelState(): ModelState {
    return MODEL_STATES[this.#state.name];
  }

  /** The model that answers. */
  get model(): ServedModel | undefined {
    return this.#state.name === 'ready' ? this.#state.model : undefined;
  }

  get isLoading(): boolean {
    return this.#state.name === 'loading' || this.#state.name === 'reloading';
  }

  /** Whether it is on the GPU, or about to be. */
  get isOnGpu(): boolean {
    return this.#state.name === 'ready' || this.isLoading;
  }

  get isClosed(): boolean {
    return this.#state.name === 'closed';
  }

  /**
   * The model that answers, or did and will again; undefined where only a worker that has died had loaded it.
   * @throws TabserveError why there is none
   */
  get known(): Pick<ServedModel, 'info' | 'tokenizer'> | undefined {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    return 'last' in this.#state ? this.#state.last : this.model;
  }

  /** The model that answers. @throws TabserveError why there is none, `device_lost` where it can be loaded again */
  requireModel(): ServedModel {
    if (this.#state.name === 'ready') return this.#state.model;
    const message = 'The model is not on the GPU at the moment: wait until it is, or send a request.';
    throw this.#refusal() ?? new TabserveError('device_lost', message);
  }

  /** A session had it loaded in a worker that has died: from now on it counts as loaded before. */
  restore(): void {
    const state = this.#state;
    if (state.name === 'new') this.#state = { name: 'unloaded', last: undefined };
    else if (state.name === 'loading') this.#state = { name: 'reloading', load: state.load, last: undefined };
  }

  /**
   * Loads the model, unless it is loaded or being loaded. Everyone who asks meanwhile waits for the same load.
   *
   * @param onProgress called with the last progress at once, then with each that follows
   * @throws TabserveError why it is closed; or, where it is unloaded again, a reason that may pass
   */
  async load(onProgress: LoadContext['onProgress'] = () => {}): Promise<ServedModel> {
    const state = this.#state;
    if (state.name === 'closed') throw state.reason;
    if (state.name === 'ready') return state.model;
    const { result, progress } = 'load' in state ? state.load : this.#begin();
    this.#listeners.add(onProgress);
    if (progress !== undefined) onProgress(progress);
    return result.finally(() => this.#listeners.delete(onProgress));
  }

  /** Takes the model off the GPU, if it is there. {@link load} brings it back. */
  unload(): void {
    const state = this.#state;
    if (state.name !== 'ready') return;
    this.#state = { name: 'unloaded', last: state.model };
    destroy(state);
  }

  /** Unloads it for good, and gives up its load. */
  close(reason = UNUSED): void {
    const state = this.#state;
    if (state.name === 'closed') return;
    const settled = 'load' in state ? state.load.result.then(() => {}, () => {}) : Promise.resolve();
    this.#state = { name: 'closed', reason, settled };
    if (state.name === 'ready') destroy(state);
    this.#cancel.abort(GIVEN_UP);
  }

  /** Why requests are not taken at all, if they are not. */
  #refusal(): TabserveError | undefined {
    if (this.#state.name === 'closed') return this.#state.reason;
    const isLoaded = this.#state.name !== 'new' && this.#state.name !== 'loading';
    return isLoaded ? undefined : new TabserveError('invalid_request', 'The model is not loaded yet; wait for createClient.');
  }

  #begin(): LoadUnderWay {
    const load: LoadUnderWay = { result: this.#run(), progress: undefined };
    load.result.catch(() => {}); // whoever waits for it hears of it
    this.#state = this.#state.name === 'unloaded' ? { ...this.#state, name: 'reloading', load } : { name: 'loading', load };
    return load;
  }

  async #run(): Promise<ServedModel> {
    const { signal } = this.#cancel;
    const model = await this.#options.load({ onProgress: this.#onProgress, signal }).catch((error: unknown) => {
      const failure = toTabserveError(error);
      this.#failed(failure);
      throw failure;
    });
    if (signal.aborted) {
      model.destroy();
      signal.throwIfAborted();
    }
    const stop = new AbortController();
    this.#state = { name: 'ready', model, stop };
    this.#options.onReady(model, stop.signal);
    return model;
  }

  #failed(failure: TabserveError): void {
    const state = this.#state;
    if (state.name === 'closed') return;
    if (state.name === 'reloading' && mayLoadLater(failure)) this.#state = { name: 'unloaded', last: state.last };
    else this.#state = { name: 'closed', reason: failure, settled: Promise.resolve() };
  }

  readonly #onProgress = (progress: LoadProgress): void => {
    if ('load' in this.#state) this.#state.load.progress = progress;
    for (const listener of this.#listeners) listener(progress);
  };
}

/** Ends the engine's run, then frees its memory. */
function destroy({ model, stop }: Extract<LifecycleState, { name: 'ready' }>): void {
  stop.abort();
  model.destroy();
}
