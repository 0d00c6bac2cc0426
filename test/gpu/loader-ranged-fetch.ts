import { seededFile } from '../unit/download/seeded-bytes.ts';

/** Two parts of 8 MiB and a bit, the size that ships; the same bytes on every side. */
export const CONTENT_BYTES = 17 * 1024 * 1024 + 3;
export const MODEL_URL = 'https://models.example/m.gguf';

/** A server inside the page: a browser test has no other at hand, and what is tested here is storage. */
export interface RangedFetch {
  readonly fetch: typeof fetch;
  /** Bytes of body sent. */
  bytesSent: number;
  /** Ranges from here on fail as a lost network does. */
  failFrom: number;
}

export function rangedFetch(seed = 1): RangedFetch {
  const content = seededFile(CONTENT_BYTES, seed);
  const server: RangedFetch = {
    bytesSent: 0,
    failFrom: Infinity,
    fetch: async (_url, init) => {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(new Headers(init?.headers).get('range') ?? '') ?? [];
      const start = Number(from);
      const end = Math.min(Number(to), CONTENT_BYTES - 1);
      if (start >= server.failFrom) throw new TypeError('Failed to fetch');
      const isHead = init?.method === 'HEAD';
      if (!isHead) server.bytesSent += end + 1 - start;
      return new Response(isHead ? null : content.slice(start, end + 1), {
        status: 206,
        headers: { 'Content-Range': `bytes ${start}-${end}/${CONTENT_BYTES}`, ETag: `"${seed}"` },
      });
    },
  };
  return server;
}
