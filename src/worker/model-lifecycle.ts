import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { ModelState } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import { settingsOf } from '../core/load-settings.ts';
import type { LoadOptions } from '../core/protocol.ts';
import { mayLoadLater } from '../core/recovery.ts';
import { sourceKey } from './model-identity.ts';
import type { LoadContext, ServedModel } from './served-model.ts';

export type LoadAttempt = Pick<LoadContext, 'onProgress' | 'signal'>;
type LoadOnce = (context: LoadAttempt) => Promise<ServedModel>;
type ProgressListener = (progress: LoadProgress) => void;

/** Whether a model loaded with `loaded` is as `wanted` says; what that leaves open does not matter. */
function hasSettings(loaded: LoadOptions, wanted: LoadOptions): boolean {
  const settings: Readonly<Record<string, unknown>> = { ...loaded };
  // Plain data, and one may have come from another tab.
  const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  return Object.entries(settingsOf(wanted)).every(([name, value]) => value === undefined || isSame(settings[name], value));
}

/**
 * A model from the moment it is asked for until it is unloaded, and who uses it. A load whose users all go ends it, and so
 * does one that fails. One that has been loaded before, here or in a worker that has died, keeps its place and its users
 * until it is loaded again, and ends only by an error that will not pass.
 */
export class ModelLifecycle<User> {
  readonly options: LoadOptions;
  readonly users = new Set<User>();
  readonly #loadModel: LoadOnce;
  readonly #onLive: (model: ServedModel) => void;
  readonly #listeners = new Set<ProgressListener>();
  readonly #cancel = new AbortController();
  /** The load under way, or the last one. */
  #loaded: Promise<ServedModel> | undefined;
  #lastProgress: LoadProgress | undefined;
  /** What was loaded last: its tokenizer and its name outlive its GPU. */
  #known: ServedModel | undefined;
  #isLive = false;
  #isLoading = false;
  /** Whether it has been loaded before: what a load fails with may pass then. */
  #isKept = false;
  /** Why it is no more. */
  #failure: TabserveError | undefined;

  /** @param onLive called with each model that can answer from then on, before who waits for it hears of it. */
  constructor(options: LoadOptions, loadModel: LoadOnce, onLive: (model: ServedModel) => void) {
    this.options = options;
    this.#loadModel = loadModel;
    this.#onLive = onLive;
  }

  get state(): ModelState {
    if (this.#failure !== undefined) return 'failed';
    if (this.#isLive) return 'ready';
    if (!this.#isLoading) return 'parked';
    return this.#isKept ? 'recovering' : 'loading';
  }

  /** The model that answers. */
  get model(): ServedModel | undefined {
    return this.#isLive ? this.#known : undefined;
  }

  /** Whether it is on the GPU, or about to be. */
  get isOnGpu(): boolean {
    return this.#isLive || this.#isLoading;
  }

  /** Whether it has been loaded before, here or in a worker that has died. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /** Aborted when it has been unloaded for good. */
  get signal(): AbortSignal {
    return this.#cancel.signal;
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
  async settled(): Promise<void> {
    await this.#loaded?.catch(() => {});
  }

  /**
   * The model that answers, or did and will again; undefined where it has been loaded in a worker that has died only.
   * @throws TabserveError why there is none
   */
  get known(): Pick<ServedModel, 'info' | 'tokenizer' | 'adapter'> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#known !== undefined || this.#isKept) return this.#known;
    throw new TabserveError('invalid_request', 'The model is not loaded yet; wait for createClient.');
  }

  /** Takes in a user who had the model in a worker that has died. */
  keepFor(user: User): void {
    this.users.add(user);
    this.#isKept = true;
  }

  /** Waits for the load with all others that do, and begins it where none is under way. The progress so far is told at once. */
  join(user: User, onProgress: ProgressListener): Promise<ServedModel> {
    this.users.add(user);
    this.#listeners.add(onProgress);
    if (this.#lastProgress !== undefined) onProgress(this.#lastProgress);
    return this.load().finally(() => this.#listeners.delete(onProgress));
  }

  /** A user has gone. A load that nobody waits for is given up; a loaded model stays for the next. */
  leave(user: User): void {
    if (this.users.delete(user) && this.users.size === 0 && !this.#isLive) this.close();
  }

  /** Takes the live model off the GPU. Its tokenizer stays, for {@link load}, as long as it has users. */
  unload(): void {
    if (!this.#isLive) return;
    if (this.users.size === 0) return this.close();
    this.#isLive = false;
    this.#known?.destroy();
  }

  /**
   * Puts the model on a GPU, unless it is there or on its way. Users that ask for it meanwhile wait for that.
   * @throws TabserveError why it is gone; or, where it is parked again, what may pass
   */
  load(): Promise<ServedModel> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#loaded === undefined || !this.isOnGpu) this.#loaded = this.#begin();
    return this.#loaded;
  }

  /** Ends it: unloads what is loaded, and gives up what is loading. */
  close(why = new TabserveError('aborted', 'The model was unloaded: nobody used it any more.')): void {
    if (this.isGone) return;
    this.#failure = why;
    if (this.#isLive) this.#known?.destroy();
    this.#isLive = false;
    this.#cancel.abort(new TabserveError('aborted', 'The load was given up: nobody waits for it any more.'));
  }

  #begin(): Promise<ServedModel> {
    this.#lastProgress = undefined;
    this.#isLoading = true;
    const loaded = this.#reload();
    loaded.catch(() => {}); // told to who waits for it
    return loaded;
  }

  async #reload(): Promise<ServedModel> {
    try {
      const model = await this.#loadOnce();
      const { signal } = this.#cancel;
      if (signal.aborted) {
        model.destroy();
        signal.throwIfAborted();
      }
      this.#known = model;
      this.#isLive = true;
      this.#isKept = true;
      this.#isLoading = false;
      this.#lastProgress = undefined;
      this.#onLive(model);
      return model;
    } catch (error) {
      this.#isLoading = false;
      const failure = toTabserveError(error);
      if (!this.#isKept || !mayLoadLater(failure)) this.#failure ??= failure;
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
