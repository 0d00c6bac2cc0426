import { createStore, del, get, update, values } from 'idb-keyval';
import type { CacheManifest } from './cache-manifest.ts';
import type { ModelStorage } from './model-storage.ts';
import { sha256 } from './sha256.ts';

const DATABASE = 'tabserve-models';
const DIRECTORY = 'tabserve-models';

/**
 * The browser's storage: parts as files in the origin-private file system, manifests in IndexedDB. Asynchronous OPFS
 * only, because a SharedWorker has no other. Undefined where the browser has neither (an insecure origin, mostly).
 */
export function opfsStorage(): ModelStorage | undefined {
  if (typeof indexedDB === 'undefined') return undefined;
  if (typeof globalThis.navigator?.storage?.getDirectory !== 'function') return undefined;
  const store = createStore(DATABASE, 'manifests');
  return {
    readManifest: (url) => get<CacheManifest>(url, store),
    updateManifest: (url, change) => update<CacheManifest>(url, change, store),
    listManifests: () => values<CacheManifest>(store),
    readPart,
    writePart,
    async remove(url) {
      await del(url, store);
      const models = await modelsDirectory();
      await models.removeEntry(await directoryName(url), { recursive: true }).catch(ignoreMissing);
    },
  };
}

async function readPart(url: string, index: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const directory = await (await modelsDirectory()).getDirectoryHandle(await directoryName(url));
    const file = await (await directory.getFileHandle(partName(index))).getFile();
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    ignoreMissing(error);
    return undefined;
  }
}

async function writePart(url: string, index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const directory = await (await modelsDirectory()).getDirectoryHandle(await directoryName(url), { create: true });
  const file = await directory.getFileHandle(partName(index), { create: true });
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

async function modelsDirectory(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(DIRECTORY, { create: true });
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
