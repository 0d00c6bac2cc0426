export type { CachedModel } from './storage/model-storage.ts';
import { TabserveError } from './core/errors.ts';
import type { HubSettings } from './core/protocol.ts';
import { type CachedModel, listModels as listIn, removeModel } from './storage/model-storage.ts';
import { hubEndpoint, resolveModelUrl } from './download/model-url.ts';
import { opfsStorage } from './storage/opfs-storage.ts';

/**
 * The models in this origin's storage, whole or partial, the last used first. Empty where the browser stores nothing.
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
 * Deletes a model from this origin's storage. An engine that has loaded it keeps it on the GPU. An engine that is
 * loading it downloads the missing parts again.
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

/** Options of {@link modelName}. */
export interface ModelNameOptions {
  /** The base of a relative path. @default the base URL of the page or worker */
  readonly baseUrl?: string | undefined;
  /** The same as `createClient`'s. @default https://huggingface.co */
  readonly hub?: HubSettings | undefined;
}

/**
 * The name under which a model is stored, listed and logged: its absolute URL without fragment and signature. Hashes
 * replace other secrets of its query, so the name may be shown. A stored model has it as its `name` or `url` in
 * {@link listModels}, unless it was given a `cacheKey`. Its host is the server that the model comes from.
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
 * Asks the browser not to evict this origin's storage when the disk is full. Only a page can ask, and some browsers
 * prompt the user: call it when the user has chosen a model.
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
