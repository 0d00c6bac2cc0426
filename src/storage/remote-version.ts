/** What a response says of its file. A server may leave any of it out, or hide it from a page of another origin. */
export interface StatedVersion {
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** What a hub knows the content by: of a large file its SHA-256, of a small one git's own hash. */
  readonly oid?: string;
}

/** What tells one version of a remote file from another. */
export interface RemoteVersion extends StatedVersion {
  readonly size: number;
}

/** The file's SHA-256, where its version says it. */
export function statedSha256({ oid }: StatedVersion): string | undefined {
  return oid !== undefined && /^[0-9a-f]{64}$/.test(oid) ? oid : undefined;
}

/** The version that a response speaks of. */
export function responseVersion(response: Response): StatedVersion {
  const range = /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  // Of a 206 the Content-Length is the range's; of an encoded body, the encoding's.
  const isWhole = response.status === 200 && response.headers.get('content-encoding') === null;
  const size = range ?? (isWhole ? response.headers.get('content-length') : null);
  return {
    size: size === null || size === undefined || !/^\d+$/.test(size) ? undefined : Number(size),
    etag: normalise(response.headers.get('etag')),
    lastModified: response.headers.get('last-modified') ?? undefined,
  };
}

/** Whether two versions can be the same: nothing that both state differs. */
export function isSameVersion(a: StatedVersion, b: StatedVersion): boolean {
  if (a.size !== undefined && b.size !== undefined && a.size !== b.size) return false;
  if (a.oid !== undefined && b.oid !== undefined) return a.oid === b.oid;
  // Mirrors of one file may differ in date, so the date only speaks where no ETag does.
  if (a.etag !== undefined && b.etag !== undefined) return a.etag === b.etag;
  if (a.lastModified !== undefined && b.lastModified !== undefined) return a.lastModified === b.lastModified;
  return true;
}

/** Servers mark the same bytes weak or strong by what they have just been asked. */
function normalise(etag: string | null): string | undefined {
  return etag?.replace(/^W\//, '');
}
