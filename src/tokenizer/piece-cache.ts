/** Pieces whose ids are remembered: most of a text is words that it has had before. */
const MAX_PIECES = 10_000;
/** Characters of a piece that is remembered. */
export const LONGEST_CACHED = 64;

/** Remembers the ids of pieces of text, none of them longer than {@link LONGEST_CACHED}. */
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
