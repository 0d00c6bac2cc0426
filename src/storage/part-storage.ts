import { sha256 } from './sha256.ts';

/**
 * Where bytes are kept between visits: under each URL (or other name) a folder of numbered parts, and a manifest that says
 * what they are. Every method rejects where the browser refuses.
 */
export interface PartStorage<Manifest> {
  /**
   * Runs something while no other tab or worker of the origin does so for the same folder: what writes a part and what
   * deletes it take turns. Never call it within itself.
   */
  lock<Result>(folder: string, run: () => Promise<Result>): Promise<Result>;
  readManifest(url: string): Promise<Manifest | undefined>;
  /** Replaces a manifest by what `change` makes of it, with no other change in between; undefined changes nothing. */
  updateManifest(url: string, change: (manifest: Manifest | undefined) => Manifest | undefined): Promise<void>;
  removeManifest(url: string): Promise<void>;
  listManifests(): Promise<readonly Manifest[]>;
  /** What manifests are kept under. */
  listUrls(): Promise<readonly string[]>;
  /** A part's bytes, undefined where it has no file. */
  readPart(url: string, index: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Resolves when the part's file is closed; a failure leaves no half part behind. */
  writePart(url: string, index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Deletes a part's file, if there is one. */
  removePart(url: string, index: number): Promise<void>;
  /** Names as {@link folderName} makes them. */
  listFolders(): Promise<readonly string[]>;
  /** Deletes all parts that are in a folder, if there is one. */
  removeFolder(folder: string): Promise<void>;
}

/** The name of a URL's folder: a hash, which is a file's name of any URL, and tells nobody which. */
export async function folderName(url: string): Promise<string> {
  return (await sha256(new TextEncoder().encode(url))).slice(0, 32);
}

/** Runs something while no other tab or worker of the origin writes or deletes what is kept under a URL. */
export async function lockUrl<Manifest, Result>(
  storage: PartStorage<Manifest>,
  url: string,
  run: () => Promise<Result>,
): Promise<Result> {
  return storage.lock(await folderName(url), run);
}

/**
 * Deletes what is kept under a URL, the manifest first, when nobody writes to it.
 *
 * @param isMeant looks at the manifest that is there by then, and says whether it is to go. @default it is
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
 * Deletes what nobody would find again: folders without a manifest, which a deletion that failed or a worker that was
 * killed has left, and manifests that are none, with their folders.
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

/** Those that have a manifest. */
async function folders(storage: PartStorage<unknown>): Promise<readonly string[]> {
  return Promise.all((await storage.listUrls()).map(folderName));
}
