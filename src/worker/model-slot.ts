import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { ModelState } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import { settingsOf } from '../core/protocol.ts';
import type { LoadOptions } from '../core/protocol.ts';
import { sourceKey } from './model-identity.ts';
import type { LoadContext, ServedModel } from './served-model.ts';

export type SlotContext = Pick<LoadContext, 'onProgress' | 'signal'>;
type LoadIntoSlot = (context: SlotContext) => Promise<ServedModel>;
type ProgressListener = (progress: LoadProgress) => void;

/** Runs a load that takes the place of one before it; it may try more than once. */
export type Reload = (load: () => Promise<ServedModel>, signal: AbortSignal) => Promise<ServedModel>;

/** Whether a model loaded with `loaded` is as `wanted` says; what that leaves open does not matter. */
function hasSettings(loaded: LoadOptions, wanted: LoadOptions): boolean {
  const settings: Readonly<Record<string, unknown>> = { ...loaded };
  // Plain data, and one may have come from another tab.
  const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  return Object.entries(settingsOf(wanted)).every(([name, value]) => value === undefined || isSame(settings[name], value));
}

/**
 * A model from the moment it is asked for until it is unloaded, and who uses it. A load that fails, or whose users all
 * go, ends it. One that has lost its GPU, or given it up, keeps its place and its users until it is loaded again.
 */
export class ModelSlot<User> {
  readonly options: LoadOptions;
  readonly users = new Set<User>();
  readonly #loadModel: LoadIntoSlot;
  readonly #onLive: (model: ServedModel) => void;
  readonly #listeners = new Set<ProgressListener>();
  readonly #cancel = new AbortController();
  /** The load under way, or the last one. */
  #loaded: Promise<ServedModel>;
  #lastProgress: LoadProgress | undefined;
  /** What was loaded last: its tokenizer and its name outlive its GPU. */
  #known: ServedModel | undefined;
  #isLive = false;
  #isLoading = false;
  /** Why it is no more. */
  #failure: TabserveError | undefined;

  /**
   * Begins to load.
   *
   * @param onLive called with each model that can answer from then on, before who waits for it hears of it.
   */
  constructor(options: LoadOptions, loadModel: LoadIntoSlot, onLive: (model: ServedModel) => void) {
    this.options = options;
    this.#loadModel = loadModel;
    this.#onLive = onLive;
    this.#loaded = this.#begin(() => this.#loadOnce());
  }

  get state(): ModelState {
    if (this.#failure !== undefined) return 'failed';
    if (this.#isLive) return 'ready';
    if (this.#known === undefined) return 'loading';
    return this.#isLoading ? 'recovering' : 'parked';
  }

  /** The model that answers. */
  get model(): ServedModel | undefined {
    return this.#isLive ? this.#known : undefined;
  }

  /** Whether it is on the GPU, or about to be. */
  get isOnGpu(): boolean {
    return this.#isLive || this.#isLoading;
  }

  /** Whether it has been unloaded, or has failed: it will not come back. */
  get isGone(): boolean {
    return this.#failure !== undefined;
  }

  /**
   * Whether it is what the user asks for: the same model, with the same settings unless others use it, whose settings
   * then have to do.
   */
  isFor(user: User, options: LoadOptions): boolean {
    if (this.isGone || sourceKey(this.options) !== sourceKey(options)) return false;
    return [...this.users].some((other) => other !== user) || hasSettings(this.options, options);
  }

  /** Resolves when nothing is loading, not even a load that was given up. */
  get settled(): Promise<void> {
    return this.#loaded.then(() => undefined, () => undefined);
  }

  /** The model that answers, or did and will again. @throws TabserveError why there is none */
  requireKnown(): Pick<ServedModel, 'info' | 'tokenizer' | 'adapter'> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#known !== undefined) return this.#known;
    throw new TabserveError('invalid_request', 'The model is not loaded yet; wait for createClient.');
  }

  /** Waits for the load with all others that do. The progress so far is told at once. */
  join(user: User, onProgress: ProgressListener): Promise<ServedModel> {
    this.users.add(user);
    this.#listeners.add(onProgress);
    if (this.#lastProgress !== undefined) onProgress(this.#lastProgress);
    return this.#loaded.finally(() => this.#listeners.delete(onProgress));
  }

  /** A user has gone. A load that nobody waits for is given up; a loaded model stays for the next. */
  leave(user: User): void {
    if (this.users.delete(user) && this.users.size === 0 && !this.#isLive) this.vacate();
  }

  /** Takes the live model off the GPU. Its tokenizer stays, for {@link reload}, as long as it has users. */
  park(): void {
    if (!this.#isLive) return;
    if (this.users.size === 0) return this.vacate();
    this.#isLive = false;
    this.#known?.destroy();
  }

  /**
   * Puts the model, parked or lost, on a GPU again. Users that ask for it meanwhile wait for that.
   * @throws TabserveError what `run` gave up with; the model is parked after `model_busy`, and gone after all else
   */
  async reload(run: Reload): Promise<void> {
    this.park();
    if (this.isGone || this.#isLoading) return;
    this.#loaded = this.#begin(() => run(() => this.#loadOnce(), this.#cancel.signal));
    await this.#loaded;
  }

  /** Ends it: unloads what is loaded, and gives up what is loading. */
  vacate(why = new TabserveError('aborted', 'The model was unloaded: nobody used it any more.')): void {
    if (this.isGone) return;
    this.#failure = why;
    if (this.#isLive) this.#known?.destroy();
    this.#isLive = false;
    this.#cancel.abort(new TabserveError('aborted', 'The load was given up: nobody waits for it any more.'));
  }

  #begin(load: () => Promise<ServedModel>): Promise<ServedModel> {
    this.#lastProgress = undefined;
    this.#isLoading = true;
    const loaded = this.#bring(load);
    loaded.catch(() => {}); // told to who waits for it
    return loaded;
  }

  async #bring(load: () => Promise<ServedModel>): Promise<ServedModel> {
    try {
      const model = await load();
      const { signal } = this.#cancel;
      if (signal.aborted) {
        model.destroy();
        signal.throwIfAborted();
      }
      this.#known = model;
      this.#isLive = true;
      this.#isLoading = false;
      this.#lastProgress = undefined;
      this.#onLive(model);
      return model;
    } catch (error) {
      this.#isLoading = false;
      const failure = toTabserveError(error);
      const isBackLater = this.#known !== undefined && failure.code === 'model_busy';
      if (!isBackLater) this.#failure ??= failure;
      throw failure;
    }
  }

  async #loadOnce(): Promise<ServedModel> {
    const { signal } = this.#cancel;
    const onProgress = (progress: LoadProgress): void => {
      this.#lastProgress = progress;
      for (const listener of this.#listeners) listener(progress);
    };
    signal.throwIfAborted();
    return this.#loadModel({ onProgress, signal });
  }
}
