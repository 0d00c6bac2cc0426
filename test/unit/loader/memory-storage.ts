import type { CacheManifest } from '../../../src/loader/cache-manifest.ts';
import type { PartStorage } from '../../../src/loader/part-storage.ts';

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
  const refuse = (): never => {
    throw new DOMException('The quota has been exceeded.', 'QuotaExceededError');
  };
  const storage: MemoryStorage<Manifest> = {
    manifests,
    parts,
    refuses: {},
    partsRead: 0,
    readManifest: async (url) => (storage.refuses.read === true ? refuse() : manifests.get(url)),
    updateManifest: async (url, change) => {
      if (storage.refuses.write === true) refuse();
      manifests.set(url, change(manifests.get(url)));
    },
    listManifests: async () => (storage.refuses.read === true ? refuse() : [...manifests.values()]),
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
    remove: async (url) => {
      manifests.delete(url);
      for (const key of parts.keys()) if (key.slice(0, key.lastIndexOf('#')) === url) parts.delete(key);
    },
  };
  return storage;
}
