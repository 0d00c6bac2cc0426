import { runSync, type Task } from '../core/cooperative-task.ts';
import { LONGEST_CACHED, cachePieces } from './piece-cache.ts';
import type { Encode } from './vocabulary.ts';

/** Characters examined between two yields. */
const RUN = 4096;

/** Finds tokens that are matched as a whole, anywhere in a text. */
export interface LiteralMatcher {
  /** The length of the longest literal that begins at this index; 0 where none does. */
  lengthAt(text: string, place: number): number;
  /** The text split at its literals, from left to right, longest first; every second piece is a literal. */
  split(text: string): Task<readonly string[]>;
}

/** A prefix of a literal. */
interface Node {
  readonly next: Map<number, Node>;
  isLiteral: boolean;
}

/** Cost is linear in the text, times the length of partial matches. */
export function createLiteralMatcher(literals: Iterable<string>): LiteralMatcher {
  const root: Node = { next: new Map(), isLiteral: false };
  for (const literal of literals) {
    let node = root;
    for (let i = 0; i < literal.length; i++) {
      const child: Node = node.next.get(literal.charCodeAt(i)) ?? { next: new Map(), isLiteral: false };
      node.next.set(literal.charCodeAt(i), child);
      node = child;
    }
    node.isLiteral = node !== root;
  }
  const lengthAt = (text: string, place: number): number => {
    let longest = 0;
    let node = root.next.get(text.charCodeAt(place));
    for (let end = place + 1; node !== undefined; end++) {
      if (node.isLiteral) longest = end - place;
      node = end < text.length ? node.next.get(text.charCodeAt(end)) : undefined;
    }
    return longest;
  };
  function* split(text: string): Task<readonly string[]> {
    const pieces: string[] = [];
    let start = 0;
    let pause = RUN;
    for (let place = 0; root.next.size > 0 && place < text.length;) {
      const length = lengthAt(text, place);
      if (length > 0) {
        pieces.push(text.slice(start, place), text.slice(place, place + length));
        start = place + length;
      }
      place += Math.max(length, 1);
      if (place < pause) continue;
      pause = place + RUN;
      yield;
    }
    pieces.push(text.slice(start));
    return pieces;
  }
  return { lengthAt, split };
}

/**
 * Encodes a text around its literals.
 *
 * @param piecesOf splits the text between two literals into pieces that are encoded independently
 */
export function encodeAround(
  literals: ReadonlyMap<string, number>,
  piecesOf: (section: string) => Task<Iterable<string>>,
  encodePiece: (piece: string, out: number[]) => Task<void>,
): Encode {
  const matcher = createLiteralMatcher(literals.keys());
  const encodeShort = cachePieces((piece) => {
    const ids: number[] = [];
    runSync(encodePiece(piece, ids));
    return ids;
  });
  return function* encode(text, out, enough = Infinity) {
    let chars = 0;
    for (const [index, section] of (yield* matcher.split(text)).entries()) {
      const literal = index % 2 === 1 ? literals.get(section) : undefined;
      if (literal !== undefined) {
        out.push(literal);
        continue;
      }
      for (const piece of yield* piecesOf(section)) {
        if (piece.length > LONGEST_CACHED) yield* encodePiece(piece, out);
        else for (const id of encodeShort(piece)) out.push(id);
        if (out.length > enough) return;
        chars += piece.length;
        if (chars < RUN) continue;
        chars = 0;
        yield;
      }
    }
  };
}
