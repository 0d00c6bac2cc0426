import type { CachedModel } from '../../src/cache.ts';

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

/** The models on this device, as the page shows them. */
export class ModelCache {
  /** The last used first; `undefined` until they have been read. */
  models: readonly CachedModel[] | undefined;
  /** What the browser says it would still store, in bytes; `undefined` where it does not say. */
  bytesFree: number | undefined;
  /** Whether the browser has promised to keep them; `undefined` while unknown. */
  isPersistent: boolean | undefined;
  /** What went wrong at the last attempt. */
  trouble: string | undefined;
  readonly #access: CacheAccess;
  readonly #changed: () => void;

  /** @param changed called when there is something new to show */
  constructor(access: CacheAccess, changed: () => void) {
    this.#access = access;
    this.#changed = changed;
  }

  get bytesCached(): number {
    return (this.models ?? []).reduce((sum, { bytesCached }) => sum + bytesCached, 0);
  }

  async refresh(): Promise<void> {
    await this.#attempt(async () => {
      this.models = await this.#access.list();
      this.isPersistent = await this.#access.isPersistent();
      const { usage, quota } = await this.#access.estimate();
      this.bytesFree = usage === undefined || quota === undefined ? undefined : Math.max(0, quota - usage);
    });
  }

  /** Deletes a model from this device; a tab that has it on the GPU goes on with it. */
  async remove(url: string): Promise<void> {
    await this.#attempt(() => this.#access.remove(url));
    const { trouble } = this;
    await this.refresh();
    if (trouble === undefined) return;
    this.trouble = trouble;
    this.#changed();
  }

  /** Asks the browser to keep the models. Some browsers ask their user, so it is for when one has been chosen. */
  async askToPersist(): Promise<void> {
    await this.#attempt(async () => {
      this.isPersistent = await this.#access.persist();
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
    this.#changed();
  }
}
