import { sha256 } from './sha256.ts';

/**
 * Storage of bytes between visits: under each URL (or other name) a folder of numbered parts, and a manifest that
 * describes them. Every method rejects where the browser refuses.
 */
export interface PartStorage<Manifest> {
  /**
   * Runs a function while no other tab or worker of the origin runs one for the same folder, so that writing and
   * deleting a part exclude each other. Not reentrant.
   */
  lock<Result>(folder: string, run: () => Promise<Result>): Promise<Result>;
  readManifest(url: string): Promise<Manifest | undefined>;
  /** Replaces a manifest by the result of `change`, atomically; undefined changes nothing. */
  updateManifest(url: string, change: (manifest: Manifest | undefined) => Manifest | undefined): Promise<void>;
  removeManifest(url: string): Promise<void>;
  listManifests(): Promise<readonly Manifest[]>;
  /** The keys of all manifests. */
  listUrls(): Promise<readonly string[]>;
  /** A part's bytes, undefined where it has no file. */
  readPart(url: string, index: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Resolves when the part's file is closed. After a failure no partial file is left. */
  writePart(url: string, index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Deletes a part's file, if there is one. */
  removePart(url: string, index: number): Promise<void>;
  /** Names as returned by {@link folderName}. */
  listFolders(): Promise<readonly string[]>;
  /** Deletes all parts in a folder, if there is one. */
  removeFolder(folder: string): Promise<void>;
}

/** The name of a URL's folder: a hash, which is a valid file name for any URL, and does not reveal it. */
export async function folderName(url: string): Promise<string> {
  return (await sha256(new TextEncoder().encode(url))).slice(0, 32);
}

/** Runs a function while no other tab or worker of the origin writes or deletes the parts of a URL. */
export async function lockUrl<Manifest, Result>(
  storage: PartStorage<Manifest>,
  url: string,
  run: () => Promise<Result>,
): Promise<Result> {
  return storage.lock(await folderName(url), run);
}

/**
 * Deletes everything stored under a URL, the manifest first, while nobody writes to it.
 *
 * @param isMeant whether to delete the manifest that is stored by then. @default always
 */
export async function removeKept<Manifest>(
  storage: PartStorage<Manifest>,
  url: string,
  isMeant?: (manifest: Manifest | undefined) => boolean,
): Promise<void> {
  const folder = await folderName(url);
  await storage.lock(folder, async () => {
    if (isMeant !== undefined && !isMeant(await storage.readManifest(url))) return;
    await storage.removeManifest(url);
    await storage.removeFolder(folder);
  });
}

/**
 * Deletes unreachable data: folders without a manifest, left by a failed deletion or a killed worker, and invalid
 * manifests with their folders.
 */
export async function sweep<Manifest>(
  storage: PartStorage<Manifest>,
  isSound: (manifest: Manifest | undefined, url: string) => boolean,
): Promise<void> {
  for (const url of await storage.listUrls()) {
    const isUnsound = (manifest: Manifest | undefined): boolean => !isSound(manifest, url);
    if (isUnsound(await storage.readManifest(url))) await removeKept(storage, url, isUnsound);
  }
  const known = new Set(await folders(storage));
  for (const folder of await storage.listFolders()) {
    if (known.has(folder)) continue;
    await storage.lock(folder, async () => {
      if (!(await folders(storage)).includes(folder)) await storage.removeFolder(folder);
    });
  }
}

/** The folders that have a manifest. */
async function folders(storage: PartStorage<unknown>): Promise<readonly string[]> {
  return Promise.all((await storage.listUrls()).map(folderName));
}
