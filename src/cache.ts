export type { CachedModel } from './storage/model-storage.ts';
import { TabserveError } from './core/errors.ts';
import type { HubSettings } from './core/protocol.ts';
import { type CachedModel, listModels as listIn, removeModel } from './storage/model-storage.ts';
import { hubEndpoint, resolveModelUrl } from './download/model-url.ts';
import { opfsStorage } from './storage/opfs-storage.ts';

/**
 * The models in this origin's storage, whole or in part, the last used first. Empty where the browser keeps nothing.
 *
 * @throws TabserveError `storage_failed`
 */
export async function listModels(): Promise<readonly CachedModel[]> {
  return guarded(async () => {
    const storage = opfsStorage();
    return storage === undefined ? [] : listIn(storage);
  });
}

/**
 * Deletes a model from this origin's storage. An engine that has it on the GPU goes on; one that is loading it fetches anew
 * what it still needs.
 *
 * @param url as {@link listModels} gives it
 * @throws TabserveError `storage_failed`
 */
export async function deleteModel(url: string): Promise<void> {
  await guarded(async () => {
    const storage = opfsStorage();
    if (storage !== undefined) await removeModel(url, storage);
  });
}

/** What {@link modelName} takes beside the model. */
export interface ModelNameOptions {
  /** What a path is relative to. @default the page's, or the worker's, own base URL */
  readonly baseUrl?: string | undefined;
  /** As `createClient` is given it. @default https://huggingface.co */
  readonly hub?: HubSettings | undefined;
}

/**
 * What a model is called wherever it is stored, listed or logged: its absolute URL without fragment and signature, with
 * hashes in the place of other secrets of its query. A model that is stored has it as its `name` or `url` in
 * {@link listModels}, unless it was given a `cacheKey`. It may be shown, and its host is where the model comes from.
 *
 * @param source as `createClient` takes it; not a File
 * @throws TabserveError `invalid_request`
 */
export function modelName(source: string, { baseUrl = ownBaseUrl(), hub = {} }: ModelNameOptions = {}): string {
  return resolveModelUrl(source, baseUrl, hubEndpoint(hub)).name;
}

function ownBaseUrl(): string {
  return (globalThis.document as Document | undefined)?.baseURI ?? globalThis.location.href;
}

/**
 * Asks the browser not to evict this origin's storage when the disk runs full. Only a page can ask, and some browsers ask
 * their user: call it when a model has been chosen.
 *
 * @returns whether the storage is persistent now
 */
export async function persistModels(): Promise<boolean> {
  try {
    const storage: Partial<StorageManager> | undefined = globalThis.navigator?.storage;
    return (await storage?.persist?.()) ?? false;
  } catch {
    return false;
  }
}

async function guarded<T>(use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (cause) {
    throw new TabserveError('storage_failed', `This browser's storage refused: ${String(cause)}.`, { cause });
  }
}
