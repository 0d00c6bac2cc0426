import { createHash } from 'node:crypto';
import type { CacheManifest } from '../../../src/storage/cache-manifest.ts';
import type { PartStorage } from '../../../src/storage/part-storage.ts';

/** A browser's storage in memory, with the faults that real ones have. */
export interface MemoryStorage<Manifest = CacheManifest> extends PartStorage<Manifest> {
  readonly manifests: Map<string, Manifest>;
  /** By `url#index`. */
  readonly parts: Map<string, Uint8Array<ArrayBuffer>>;
  /** Which operations the browser refuses; `writePart` after this many parts. */
  refuses: { read?: boolean; write?: boolean; writeAfter?: number };
  /** How many parts have been read. */
  partsRead: number;
}

export function memoryStorage<Manifest = CacheManifest>(): MemoryStorage<Manifest> {
  const manifests = new Map<string, Manifest>();
  const parts = new Map<string, Uint8Array<ArrayBuffer>>();
  // As `folderName`, but at once: what a browser does is not cut in two.
  const folderOf = (key: string): string => createHash('sha256').update(key.slice(0, key.lastIndexOf('#'))).digest('hex').slice(0, 32);
  const locks = new Map<string, Promise<unknown>>();
  const refuse = (): never => {
    throw new DOMException('The quota has been exceeded.', 'QuotaExceededError');
  };
  const storage: MemoryStorage<Manifest> = {
    manifests,
    parts,
    refuses: {},
    partsRead: 0,
    lock: (folder, run) => {
      const done = (locks.get(folder) ?? Promise.resolve()).then(run);
      locks.set(folder, done.catch(() => {}));
      return done;
    },
    readManifest: async (url) => (storage.refuses.read === true ? refuse() : manifests.get(url)),
    updateManifest: async (url, change) => {
      if (storage.refuses.write === true) refuse();
      const changed = change(manifests.get(url));
      if (changed !== undefined) manifests.set(url, changed);
    },
    removeManifest: async (url) => void manifests.delete(url),
    listManifests: async () => (storage.refuses.read === true ? refuse() : [...manifests.values()]),
    listUrls: async () => (storage.refuses.read === true ? refuse() : [...manifests.keys()]),
    readPart: async (url, index) => {
      if (storage.refuses.read === true) refuse();
      storage.partsRead++;
      return parts.get(`${url}#${index}`)?.slice();
    },
    writePart: async (url, index, bytes) => {
      if (storage.refuses.write === true || parts.size >= (storage.refuses.writeAfter ?? Infinity)) refuse();
      parts.set(`${url}#${index}`, bytes.slice());
    },
    removePart: async (url, index) => void parts.delete(`${url}#${index}`),
    listFolders: async () => [...new Set([...parts.keys()].map(folderOf))],
    removeFolder: async (folder) => {
      for (const key of parts.keys()) if (folderOf(key) === folder) parts.delete(key);
    },
  };
  return storage;
}
