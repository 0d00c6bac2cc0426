/** A response's description of its file. A server may omit any of it, or hide it from a page of another origin. */
export interface StatedVersion {
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** The hub's identifier of the content: for a large file its SHA-256, for a small one git's own hash. */
  readonly oid?: string;
}

/** The identity of a version of a remote file. */
export interface RemoteVersion extends StatedVersion {
  readonly size: number;
}

/** The file's SHA-256, if its version states it. */
export function statedSha256({ oid }: StatedVersion): string | undefined {
  return oid !== undefined && /^[0-9a-f]{64}$/.test(oid) ? oid : undefined;
}

/** The version described by a response. */
export function responseVersion(response: Response): StatedVersion {
  const range = /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  // The Content-Length of a 206 is the range's, and that of an encoded body is the encoding's.
  const isWhole = response.status === 200 && response.headers.get('content-encoding') === null;
  const size = range ?? (isWhole ? response.headers.get('content-length') : null);
  return {
    size: size === null || size === undefined || !/^\d+$/.test(size) ? undefined : Number(size),
    etag: normalise(response.headers.get('etag')),
    lastModified: response.headers.get('last-modified') ?? undefined,
  };
}

/** Whether two versions can be the same: no field that both state differs. */
export function isSameVersion(a: StatedVersion, b: StatedVersion): boolean {
  if (a.size !== undefined && b.size !== undefined && a.size !== b.size) return false;
  if (a.oid !== undefined && b.oid !== undefined) return a.oid === b.oid;
  // Mirrors of one file may differ in date, so the date only counts where there is no ETag.
  if (a.etag !== undefined && b.etag !== undefined) return a.etag === b.etag;
  if (a.lastModified !== undefined && b.lastModified !== undefined) return a.lastModified === b.lastModified;
  return true;
}

/** Servers mark the same bytes as weak or strong, depending on the request. */
function normalise(etag: string | null): string | undefined {
  return etag?.replace(/^W\//, '');
}
