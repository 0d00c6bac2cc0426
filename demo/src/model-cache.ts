import type { CachedModel } from '../../src/cache.ts';
import type { DeletedModels } from './deleted-models.ts';
import { nameOf, type ModelChoice } from './model-choice.ts';

/** The part of the browser's storage that the cache view uses. */
export interface CacheAccess {
  readonly list: () => Promise<readonly CachedModel[]>;
  readonly remove: (url: string) => Promise<void>;
  /** Asks the browser to keep them when the disk runs full; whether it does. */
  readonly persist: () => Promise<boolean>;
  /** Whether it does, without asking. */
  readonly isPersistent: () => Promise<boolean>;
  /** Bytes; either may be unknown, and both are guesses. */
  readonly estimate: () => Promise<{ readonly usage?: number; readonly quota?: number }>;
}

export interface ModelCacheOptions {
  readonly access: CacheAccess;
  readonly deleted: DeletedModels;
  /** The base of a path. */
  readonly baseUrl: string;
  /** Called when there is something new to show. */
  readonly changed: () => void;
}

/** The models on this device, as the page shows them. */
export class ModelCache {
  /** The last used first; `undefined` until they have been read. */
  models: readonly CachedModel[] | undefined;
  /** The bytes that the browser would still store, by its own estimate; `undefined` where it gives none. */
  bytesFree: number | undefined;
  /** Whether the browser has promised to keep them; `undefined` while unknown. */
  isPersistent: boolean | undefined;
  /** The error of the last attempt. */
  trouble: string | undefined;
  readonly #options: ModelCacheOptions;

  constructor(options: ModelCacheOptions) {
    this.#options = options;
  }

  get bytesCached(): number {
    return (this.models ?? []).reduce((sum, { bytesCached }) => sum + bytesCached, 0);
  }

  async refresh(): Promise<void> {
    await this.#attempt(async () => {
      this.models = await this.#options.access.list();
      this.isPersistent = await this.#options.access.isPersistent();
      const { usage, quota } = await this.#options.access.estimate();
      this.bytesFree = usage === undefined || quota === undefined ? undefined : Math.max(0, quota - usage);
    });
  }

  /** Whether a model has been deleted from this device, and not been asked for since: it is not to be fetched unasked. */
  async wasDeleted(choice: ModelChoice): Promise<boolean> {
    const { access, deleted, baseUrl } = this.#options;
    const url = nameOf(choice.source, baseUrl);
    if (url === undefined || !deleted.has(url)) return false;
    const cached = await access.list().catch(() => []);
    return cached.every((model) => model.url !== url && model.name !== url);
  }

  /** A model has been loaded, so somebody wants it. */
  wanted(choice: ModelChoice): void {
    const url = nameOf(choice.source, this.#options.baseUrl);
    if (url !== undefined) this.#options.deleted.remove(url);
  }

  /** Deletes a model from this device; a tab that has it on the GPU goes on with it. */
  async remove(url: string): Promise<void> {
    const name = this.models?.find((model) => model.url === url)?.name ?? url;
    await this.#attempt(async () => {
      await this.#options.access.remove(url);
      this.#options.deleted.add(url, name);
    });
    const { trouble } = this;
    await this.refresh();
    if (trouble === undefined) return;
    this.trouble = trouble;
    this.#options.changed();
  }

  /** Asks the browser to keep the models. Some browsers ask their user, so it is for when one has been chosen. */
  async askToPersist(): Promise<void> {
    await this.#attempt(async () => {
      this.isPersistent = await this.#options.access.persist();
    });
  }

  async #attempt(use: () => Promise<void>): Promise<void> {
    try {
      await use();
      this.trouble = undefined;
    } catch (error) {
      this.trouble = error instanceof Error ? error.message : String(error);
      this.models ??= [];
    }
    this.#options.changed();
  }
}
