import { del, get, keys, type UseStore, values } from 'idb-keyval';
import type { Locks } from '../core/locks.ts';
import type { CacheManifest } from './cache-manifest.ts';
import { keyValueStore } from './key-value-store.ts';
import type { ModelStorage } from './model-storage.ts';
import { folderName, type PartStorage } from './part-storage.ts';
import { withLock } from './with-lock.ts';

/** Writing a part takes a fraction of a second. A tab that holds a folder's lock for longer is frozen. */
const MAX_WRITE_MS = 10_000;

/** The browser's storage of models. */
export function opfsStorage(): ModelStorage | undefined {
  return opfsPartStorage<CacheManifest>('tabserve-models');
}

/**
 * The browser's storage: parts as files in the origin-private file system, manifests in IndexedDB. Only asynchronous
 * OPFS is used, because a SharedWorker has no other. Undefined where the browser has neither (mostly in an insecure
 * origin).
 *
 * @param name the name of the database and of the directory
 */
export function opfsPartStorage<Manifest>(name: string): PartStorage<Manifest> | undefined {
  if (typeof indexedDB === 'undefined') return undefined;
  if (typeof globalThis.navigator?.storage?.getDirectory !== 'function') return undefined;
  const store = keyValueStore(name, 'manifests');
  const root = async (): Promise<FileSystemDirectoryHandle> => {
    return (await navigator.storage.getDirectory()).getDirectoryHandle(name, { create: true });
  };
  const directory = async (url: string, create = false): Promise<FileSystemDirectoryHandle> => {
    return (await root()).getDirectoryHandle(await folderName(url), { create });
  };
  const { locks } = navigator as Partial<Navigator> & { readonly locks?: Locks };
  return {
    lock: (folder, run) => withLock(locks, `${name}:${folder}`, run, { maxWaitMs: MAX_WRITE_MS }),
    readManifest: (url) => get<Manifest>(url, store),
    updateManifest: (url, change) => changeValue(store, url, change),
    removeManifest: (url) => del(url, store),
    listManifests: () => values<Manifest>(store),
    listUrls: () => keys<string>(store),
    async readPart(url, index) {
      try {
        const file = await (await (await directory(url)).getFileHandle(partName(index))).getFile();
        return new Uint8Array(await file.arrayBuffer());
      } catch (error) {
        ignoreMissing(error);
        return undefined;
      }
    },
    async writePart(url, index, bytes) {
      await write(await (await directory(url, true)).getFileHandle(partName(index), { create: true }), bytes);
    },
    async removePart(url, index) {
      await directory(url).then((parts) => parts.removeEntry(partName(index))).catch(ignoreMissing);
    },
    async listFolders() {
      const names: string[] = [];
      for await (const folder of (await root()).keys()) names.push(folder);
      return names;
    },
    async removeFolder(folder) {
      await (await root()).removeEntry(folder, { recursive: true }).catch(ignoreMissing);
    },
  };
}

/** idb-keyval's `update`, which writes only if something changes. */
function changeValue<Value>(store: UseStore, key: string, change: (value: Value | undefined) => Value | undefined): Promise<void> {
  return store('readwrite', (entries) => {
    return new Promise((resolve, reject) => {
      const { transaction } = entries;
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      const found: IDBRequest<Value | undefined> = entries.get(key);
      found.onsuccess = () => {
        try {
          const changed = change(found.result);
          if (changed !== undefined) entries.put(changed, key);
        } catch (error) {
          transaction.abort();
          reject(error);
        }
      };
    });
  });
}

async function write(file: FileSystemFileHandle, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  // Writes go to a swap file; close() replaces the part by it atomically.
  const writable = await file.createWritable();
  try {
    await writable.write(bytes);
    await writable.close();
  } catch (error) {
    await writable.abort().catch(() => {}); // report the error of the write, not this one
    throw error;
  }
}

function partName(index: number): string {
  return `part-${String(index).padStart(5, '0')}`;
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
}
