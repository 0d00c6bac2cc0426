/**
 * Where bytes are kept between visits: under each URL (or other name) numbered parts, and a manifest that says what they
 * are. Every method rejects where the browser refuses.
 */
export interface PartStorage<Manifest> {
  readManifest(url: string): Promise<Manifest | undefined>;
  /** Replaces a manifest by what `change` makes of it, with no other change in between. */
  updateManifest(url: string, change: (manifest: Manifest | undefined) => Manifest): Promise<void>;
  listManifests(): Promise<readonly Manifest[]>;
  /** A part's bytes, undefined where it has no file. */
  readPart(url: string, index: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Resolves when the part's file is closed; a failure leaves no half part behind. */
  writePart(url: string, index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Deletes a part's file, if there is one. */
  removePart(url: string, index: number): Promise<void>;
  /** Deletes all parts of an URL and its manifest, the manifest first. */
  remove(url: string): Promise<void>;
}
