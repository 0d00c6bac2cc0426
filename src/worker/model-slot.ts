import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { LoadOptions, ModelSource } from '../core/protocol.ts';
import type { LoadContext, ServedModel } from './served-model.ts';

type SlotContext = Pick<LoadContext, 'onProgress' | 'signal'>;
type LoadIntoSlot = (options: LoadOptions, context: SlotContext) => Promise<ServedModel>;
type ProgressListener = (progress: LoadProgress) => void;

/** A model from the moment it is asked for until it is unloaded. */
interface Occupant<User> {
  readonly key: string;
  readonly users: Set<User>;
  readonly listeners: Set<ProgressListener>;
  readonly cancel: AbortController;
  readonly loaded: Promise<ServedModel>;
  lastProgress: LoadProgress | undefined;
  /** Set once it is loaded. */
  model: ServedModel | undefined;
}

/** Two tabs that pick the same file of the user's have two `File` objects for it. */
function sourceKey(source: ModelSource): string {
  return typeof source === 'string' ? source : `file:${source.name}:${source.size}:${source.lastModified}`;
}

function sourceName(source: ModelSource): string {
  return typeof source === 'string' ? source : source.name;
}

/**
 * The one place for a model, and who uses it. It is taken by the first user's load; users of the same model join, load
 * or loaded; a different model has to wait until the others have gone. A load that fails, or whose users all go,
 * leaves the slot free; the next load starts when the one before has let go of its memory.
 */
export class ModelSlot<User> {
  readonly #loadModel: LoadIntoSlot;
  #occupant: Occupant<User> | undefined;
  #failure: TabserveError | undefined;
  /** Settles when the last load has ended and, if it was given up, its model is destroyed. */
  #settled: Promise<void> = Promise.resolve();

  constructor(loadModel: LoadIntoSlot) {
    this.#loadModel = loadModel;
  }

  get state(): EngineMetrics['state'] {
    if (this.#occupant === undefined) return this.#failure === undefined ? 'idle' : 'failed';
    return this.#occupant.model === undefined ? 'loading' : 'ready';
  }

  get model(): ServedModel | undefined {
    return this.#occupant?.model;
  }

  /** @throws TabserveError why no model is loaded */
  requireModel(): ServedModel {
    const model = this.#occupant?.model;
    if (model !== undefined) return model;
    throw this.#failure ?? new TabserveError('invalid_request', 'No model is loaded yet; wait for createClient.');
  }

  /** Loads, joins, or refuses with `model_busy`. The progress so far is told at once to a user that joins. */
  load(user: User, options: LoadOptions, onProgress: ProgressListener): Promise<ServedModel> {
    const key = sourceKey(options.source);
    if (this.#occupant !== undefined && this.#occupant.key !== key) {
      this.#refuseIfShared(user, options.source);
      this.#vacate();
    }
    const occupant = (this.#occupant ??= this.#start(key, options));
    occupant.users.add(user);
    occupant.listeners.add(onProgress);
    if (occupant.lastProgress !== undefined) onProgress(occupant.lastProgress);
    return occupant.loaded.finally(() => occupant.listeners.delete(onProgress));
  }

  /** A user has gone. A load that nobody waits for is given up; a loaded model stays for the next. */
  release(user: User): void {
    const occupant = this.#occupant;
    if (occupant === undefined || !occupant.users.delete(user)) return;
    if (occupant.model === undefined && occupant.users.size === 0) this.#vacate();
  }

  /** The model has failed for good; the next load starts afresh. */
  fail(model: ServedModel, error: TabserveError): void {
    if (this.#occupant?.model !== model) return;
    this.#vacate();
    this.#failure = error;
  }

  #refuseIfShared(user: User, asked: ModelSource): void {
    const others = [...(this.#occupant?.users ?? [])].filter((other) => other !== user).length;
    if (others === 0) return;
    const loaded = this.#occupant?.model?.info.id;
    throw new TabserveError(
      'model_busy',
      `${others} other client(s) of this origin use ${loaded === undefined ? 'a different model' : `"${loaded}"`}; ` +
        `close them (their tabs, or client.close()) before loading "${sourceName(asked)}".`,
    );
  }

  #start(key: string, options: LoadOptions): Occupant<User> {
    this.#failure = undefined;
    const cancel = new AbortController();
    const onProgress = (progress: LoadProgress): void => {
      occupant.lastProgress = progress;
      for (const listener of occupant.listeners) listener(progress);
    };
    const load = async (): Promise<ServedModel> => {
      cancel.signal.throwIfAborted();
      const model = await this.#loadModel(options, { onProgress, signal: cancel.signal });
      if (cancel.signal.aborted) {
        model.destroy();
        cancel.signal.throwIfAborted();
      }
      occupant.model = model;
      return model;
    };
    const loaded = this.#settled.then(load).catch((error: unknown) => {
      const failure = toTabserveError(error);
      if (this.#occupant === occupant) {
        this.#occupant = undefined;
        this.#failure = failure;
      }
      throw failure;
    });
    this.#settled = loaded.then(() => undefined, () => undefined);
    const occupant: Occupant<User> = {
      key, users: new Set(), listeners: new Set(), cancel, loaded, lastProgress: undefined, model: undefined,
    };
    return occupant;
  }

  #vacate(): void {
    const occupant = this.#occupant;
    this.#occupant = undefined;
    occupant?.model?.destroy();
    occupant?.cancel.abort(new TabserveError('aborted', 'The load was given up: nobody waits for it any more.'));
  }
}
