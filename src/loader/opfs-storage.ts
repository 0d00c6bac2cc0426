import { del, get, update, values } from 'idb-keyval';
import type { CacheManifest } from './cache-manifest.ts';
import { keyValueStore } from './key-value-store.ts';
import type { ModelStorage } from './model-storage.ts';
import type { PartStorage } from './part-storage.ts';
import { sha256 } from './sha256.ts';

/** Where the browser keeps models. */
export function opfsStorage(): ModelStorage | undefined {
  return opfsPartStorage<CacheManifest>('tabserve-models');
}

/**
 * The browser's storage: parts as files in the origin-private file system, manifests in IndexedDB. Asynchronous OPFS
 * only, because a SharedWorker has no other. Undefined where the browser has neither (an insecure origin, mostly).
 *
 * @param name of the database and of the directory
 */
export function opfsPartStorage<Manifest>(name: string): PartStorage<Manifest> | undefined {
  if (typeof indexedDB === 'undefined') return undefined;
  if (typeof globalThis.navigator?.storage?.getDirectory !== 'function') return undefined;
  const store = keyValueStore(name, 'manifests');
  const root = async (): Promise<FileSystemDirectoryHandle> => {
    return (await navigator.storage.getDirectory()).getDirectoryHandle(name, { create: true });
  };
  const directory = async (url: string, create = false): Promise<FileSystemDirectoryHandle> => {
    return (await root()).getDirectoryHandle(await directoryName(url), { create });
  };
  return {
    readManifest: (url) => get<Manifest>(url, store),
    updateManifest: (url, change) => update<Manifest>(url, change, store),
    listManifests: () => values<Manifest>(store),
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
    async remove(url) {
      await del(url, store);
      await (await root()).removeEntry(await directoryName(url), { recursive: true }).catch(ignoreMissing);
    },
  };
}

async function write(file: FileSystemFileHandle, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  // What is written goes to a swap file; close() puts it in the place of the part at once.
  const writable = await file.createWritable();
  try {
    await writable.write(bytes);
    await writable.close();
  } catch (error) {
    await writable.abort().catch(() => {}); // the write's own error is the one that matters
    throw error;
  }
}

/** A file name of any URL: its hash. */
async function directoryName(url: string): Promise<string> {
  return (await sha256(new TextEncoder().encode(url))).slice(0, 32);
}

function partName(index: number): string {
  return `part-${String(index).padStart(5, '0')}`;
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
}
