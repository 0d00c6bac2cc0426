/** Pieces whose ids are cached: most words of a text have occurred before. */
const MAX_PIECES = 10_000;
/** The most characters of a cached piece. */
export const LONGEST_CACHED = 64;

/** Caches the ids of pieces of text, none longer than {@link LONGEST_CACHED}. */
export function cachePieces(encode: (piece: string) => readonly number[]): (piece: string) => readonly number[] {
  const cache = new Map<string, readonly number[]>();
  return (piece) => {
    const known = cache.get(piece);
    if (known !== undefined) return known;
    const ids = encode(piece);
    if (cache.size >= MAX_PIECES) cache.clear();
    cache.set(piece, ids);
    return ids;
  };
}
