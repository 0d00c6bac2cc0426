import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { LoadOptions, ModelSource } from '../core/protocol.ts';
import type { LoadContext, ServedModel } from './served-model.ts';

type SlotContext = Pick<LoadContext, 'onProgress' | 'signal'>;
export type LoadIntoSlot = (options: LoadOptions, context: SlotContext) => Promise<ServedModel>;
type ProgressListener = (progress: LoadProgress) => void;

/** Runs a load that takes the place of one before it; it may try more than once. */
export type Reload = (load: () => Promise<ServedModel>, signal: AbortSignal) => Promise<ServedModel>;

/** A model from the moment it is asked for until it is unloaded. */
interface Occupant<User> {
  readonly key: string;
  readonly options: LoadOptions;
  readonly users: Set<User>;
  readonly listeners: Set<ProgressListener>;
  readonly cancel: AbortController;
  /** The load under way, or the last one. */
  loaded: Promise<ServedModel>;
  lastProgress: LoadProgress | undefined;
  /** What was loaded last: its tokenizer and its name outlive its GPU. */
  known: ServedModel | undefined;
  /** Whether `known` is on the GPU. */
  isLive: boolean;
  isReloading: boolean;
}

/** Two tabs that pick the same file of the user's have two `File` objects for it. */
function sourceKey(source: ModelSource): string {
  return typeof source === 'string' ? source : `file:${source.name}:${source.size}:${source.lastModified}`;
}

/** Whether a model loaded with `loaded` is as `wanted` says; what that leaves open does not matter. */
function hasSettings(loaded: LoadOptions, { source: _source, hub: _hub, ...wanted }: LoadOptions): boolean {
  const settings: Readonly<Record<string, unknown>> = { ...loaded };
  // Plain data, and one may have come from another tab.
  const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  return Object.entries(wanted).every(([name, value]) => value === undefined || isSame(settings[name], value));
}

function sourceName(source: ModelSource): string {
  return typeof source === 'string' ? source : source.name;
}

/**
 * The one place for a model, and who uses it. It is taken by the first user's load; users of the same model join, load
 * or loaded; a different model has to wait until the others have gone. A load that fails, or whose users all go,
 * leaves the slot free; the next load starts when the one before has let go of its memory. A model that has lost its
 * GPU keeps its place, and its users, while it is loaded again.
 */
export class ModelSlot<User> {
  readonly #loadModel: LoadIntoSlot;
  readonly #onLive: (model: ServedModel) => void;
  #occupant: Occupant<User> | undefined;
  #failure: TabserveError | undefined;
  /** Settles when the last load has ended and, if it was given up, its model is destroyed. */
  #settled: Promise<void> = Promise.resolve();

  /** @param onLive called with each model that can answer from then on, before who waits for it hears of it. */
  constructor(loadModel: LoadIntoSlot, onLive: (model: ServedModel) => void) {
    this.#loadModel = loadModel;
    this.#onLive = onLive;
  }

  get state(): EngineMetrics['state'] {
    const occupant = this.#occupant;
    if (occupant === undefined) return this.#failure === undefined ? 'idle' : 'failed';
    if (occupant.isLive) return 'ready';
    if (occupant.known === undefined) return 'loading';
    return occupant.isReloading ? 'recovering' : 'parked';
  }

  /** The model that answers. */
  get model(): ServedModel | undefined {
    return this.#occupant?.isLive === true ? this.#occupant.known : undefined;
  }

  /** Whether a model has its place here, wherever its GPU is. */
  get isTaken(): boolean {
    return this.#occupant !== undefined;
  }

  /**
   * Whether that place is what the user asks for: the same model, with the same settings unless others use it, whose
   * settings then have to do.
   */
  isFor(user: User, options: LoadOptions): boolean {
    const occupant = this.#occupant;
    if (occupant === undefined || occupant.key !== sourceKey(options.source)) return false;
    return this.#numOthers(user) > 0 || hasSettings(occupant.options, options);
  }

  /** Resolves when nothing is loading, not even a load that was given up. */
  get settled(): Promise<void> {
    return this.#settled;
  }

  /** The model that answers, or did and will again. @throws TabserveError why there is none */
  requireKnown(): Pick<ServedModel, 'info' | 'tokenizer' | 'adapter'> {
    const known = this.#occupant?.known;
    if (known !== undefined) return known;
    throw this.#failure ?? new TabserveError('invalid_request', 'No model is loaded yet; wait for createClient.');
  }

  /** Loads, joins, or refuses with `model_busy`. The progress so far is told at once to a user that joins. */
  load(user: User, options: LoadOptions, onProgress: ProgressListener): Promise<ServedModel> {
    if (this.#occupant !== undefined && !this.isFor(user, options)) {
      this.#refuseIfShared(user, options.source);
      this.vacate();
    }
    const occupant = (this.#occupant ??= this.#start(options));
    occupant.users.add(user);
    occupant.listeners.add(onProgress);
    if (occupant.lastProgress !== undefined) onProgress(occupant.lastProgress);
    return occupant.loaded.finally(() => occupant.listeners.delete(onProgress));
  }

  /** A user has gone. A load that nobody waits for is given up; a loaded model stays for the next. */
  release(user: User): void {
    const occupant = this.#occupant;
    if (occupant === undefined || !occupant.users.delete(user)) return;
    if (!occupant.isLive && occupant.users.size === 0) this.vacate();
  }

  /**
   * Takes the live model off the GPU. Its place and its tokenizer stay, for {@link reload}, as long as it has users.
   */
  park(): void {
    const occupant = this.#occupant;
    if (occupant === undefined || !occupant.isLive) return;
    if (occupant.users.size === 0) return this.vacate();
    occupant.isLive = false;
    occupant.known?.destroy();
  }

  /**
   * Puts the slot's model, parked or failed, on a GPU again. Users that ask for it meanwhile wait for that.
   * @throws TabserveError what `run` gave up with; the slot is free then
   */
  async reload(run: Reload): Promise<void> {
    this.park();
    const occupant = this.#occupant;
    if (occupant === undefined || occupant.isReloading) return;
    occupant.isReloading = true;
    this.#begin(occupant, () => run(() => this.#loadOnce(occupant), occupant.cancel.signal));
    try {
      await occupant.loaded;
    } finally {
      occupant.isReloading = false;
    }
  }

  /** The model has failed for good; the next load starts afresh. */
  fail(error: TabserveError): void {
    this.vacate();
    this.#failure = error;
  }

  /** Unloads what is loaded, and gives up what is loading. */
  vacate(): void {
    const occupant = this.#occupant;
    this.#occupant = undefined;
    if (occupant?.isLive === true) occupant.known?.destroy();
    occupant?.cancel.abort(new TabserveError('aborted', 'The load was given up: nobody waits for it any more.'));
  }

  #refuseIfShared(user: User, asked: ModelSource): void {
    const { source } = this.#occupant?.options ?? {};
    if (source === undefined || this.#numOthers(user) === 0) return;
    throw new TabserveError(
      'model_busy',
      `Another tab of this site is using "${sourceName(source)}", and all tabs share one model. ` +
        `Use that one here too, or close the other tab (or its client) to load "${sourceName(asked)}".`,
      { details: typeof source === 'string' ? { loadedModel: source } : {} },
    );
  }

  #numOthers(user: User): number {
    return [...(this.#occupant?.users ?? [])].filter((other) => other !== user).length;
  }

  #start(options: LoadOptions): Occupant<User> {
    this.#failure = undefined;
    const occupant: Occupant<User> = {
      key: sourceKey(options.source), options, users: new Set(), listeners: new Set(), cancel: new AbortController(),
      loaded: new Promise(() => {}), lastProgress: undefined, known: undefined, isLive: false,
      isReloading: false,
    };
    this.#begin(occupant, () => this.#loadOnce(occupant));
    return occupant;
  }

  /** Starts what is to bring the occupant's model, after whatever was loading before. */
  #begin(occupant: Occupant<User>, load: () => Promise<ServedModel>): void {
    occupant.lastProgress = undefined;
    const before = this.#settled;
    occupant.loaded = this.#bring(occupant, before, load);
    occupant.loaded.catch(() => {}); // told to who waits for it
    this.#settled = occupant.loaded.then(() => undefined, () => undefined);
  }

  async #bring(
    occupant: Occupant<User>,
    before: Promise<void>,
    load: () => Promise<ServedModel>,
  ): Promise<ServedModel> {
    await before;
    try {
      const model = await load();
      occupant.known = model;
      occupant.isLive = true;
      occupant.lastProgress = undefined;
      this.#onLive(model);
      return model;
    } catch (error) {
      const failure = toTabserveError(error);
      if (this.#occupant === occupant) {
        this.#occupant = undefined;
        this.#failure = failure;
      }
      throw failure;
    }
  }

  async #loadOnce(occupant: Occupant<User>): Promise<ServedModel> {
    const { signal } = occupant.cancel;
    const onProgress = (progress: LoadProgress): void => {
      occupant.lastProgress = progress;
      for (const listener of occupant.listeners) listener(progress);
    };
    signal.throwIfAborted();
    const model = await this.#loadModel(occupant.options, { onProgress, signal });
    if (signal.aborted) {
      model.destroy();
      signal.throwIfAborted();
    }
    return model;
  }
}
