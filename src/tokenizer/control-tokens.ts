import { createLiteralMatcher, type LiteralMatcher } from './literals.ts';

/** A piece of a rendered prompt: text, or a control token that the template wrote. */
export type PromptPiece = { readonly text: string } | { readonly controlTokenId: number };

/**
 * Tells the control tokens that a chat template writes from the same characters in a user's text: the occurrences in
 * the user's text are broken by a marker character before the template is rendered, what is still whole afterwards is
 * the template's, and then the marker is taken out again.
 */
export interface ControlTokens {
  /** Breaks whatever could be, or could become by standing next to other text, a control token. */
  protect(text: string, marker: string): string;
  /** Splits rendered text at its control tokens and removes the marker. */
  split(rendered: string, marker: string): readonly PromptPiece[];
}

/** @param ids token id by the control token's text */
export function createControlTokens(ids: ReadonlyMap<string, number>): ControlTokens {
  // One code point cannot be broken.
  const names = [...ids.keys()].filter((name) => [...name].length > 1);
  const matcher = createLiteralMatcher(names);
  const beginnings = new Set(names.flatMap((name) => places(name).map((place) => name.slice(0, place))));
  const endings = new Set(names.flatMap((name) => places(name).map((place) => name.slice(place))));
  const longest = names.reduce((most, name) => Math.max(most, name.length), 0);

  const protect = (text: string, marker: string): string => {
    const broken = breakNames(text, matcher, marker);
    // A template may trim, so it is the outermost characters that are not white space which could meet its own text.
    const end = broken.trimEnd().length;
    const start = Math.min(broken.length - broken.trimStart().length, end);
    const opens = lengths(longest).some((n) => n <= end && beginnings.has(broken.slice(end - n, end)));
    const closes = lengths(longest).some((n) => endings.has(broken.slice(start, start + n)));
    return (
      broken.slice(0, start) +
      (closes ? marker : '') +
      broken.slice(start, end) +
      (opens ? marker : '') +
      broken.slice(end)
    );
  };

  const split = (rendered: string, marker: string): readonly PromptPiece[] =>
    matcher.split(rendered).map((piece, index) => {
      const controlTokenId = index % 2 === 1 ? ids.get(piece) : undefined;
      return controlTokenId === undefined ? { text: piece.replaceAll(marker, '') } : { controlTokenId };
    });

  return { protect, split };
}

/** Puts the marker behind the first code point of whatever is one of the names. */
function breakNames(text: string, matcher: LiteralMatcher, marker: string): string {
  let broken = '';
  let start = 0;
  for (let place = 0; place < text.length; place++) {
    if (matcher.lengthAt(text, place) === 0) continue;
    const end = place + ((text.codePointAt(place) ?? 0) > 0xffff ? 2 : 1);
    broken += text.slice(start, end) + marker;
    start = end;
  }
  return broken + text.slice(start);
}

/** Where the code points begin, but for the first. */
function places(name: string): readonly number[] {
  let place = 0;
  return [...name].map((codePoint) => (place += codePoint.length)).slice(0, -1);
}

function lengths(longest: number): readonly number[] {
  return Array.from({ length: longest }, (_, i) => i + 1);
}

/** A private-use character that occurs in none of the texts. */
export function findMarker(texts: readonly string[]): string {
  const used = new Set(texts.flatMap((text) => text.match(/\p{Co}/gu) ?? []));
  let codePoint = 0xe000;
  while (used.has(String.fromCodePoint(codePoint))) codePoint += codePoint === 0xf8ff ? 0xf0000 - 0xf8ff : 1;
  return String.fromCodePoint(codePoint);
}
