/** What pre-tokenizers tell characters apart by: `\p{L}`, `\p{N}`, `\p{White_Space}` and what is none of these. */
export const LETTER = 1;
export const NUMBER = 2;
export const SPACE = 3;
export const OTHER = 4;

/** By code point; 0 for one that has not been looked at. */
let known: Uint8Array | undefined;

/** The class of the code point that begins at a place; a half of a surrogate pair by itself is OTHER. */
export function classAt(text: string, place: number): number {
  known ??= new Uint8Array(0x110000);
  const unit = text.charCodeAt(place);
  const code = unit >= 0xd800 && unit <= 0xdbff ? (text.codePointAt(place) ?? unit) : unit;
  return known[code] || (known[code] = classify(String.fromCodePoint(code)));
}

/** How many UTF-16 units the code point has that begins at a place. */
export function sizeAt(text: string, place: number): number {
  const unit = text.charCodeAt(place);
  return unit >= 0xd800 && unit <= 0xdbff && (text.codePointAt(place) ?? 0) > 0xffff ? 2 : 1;
}

/** Where what begins at a place and is all of one class ends, at most at `end`. */
export function runEnd(text: string, place: number, end: number, kind: number): number {
  let at = place;
  while (at < end && classAt(text, at) === kind) at += sizeAt(text, at);
  return at;
}

function classify(character: string): number {
  if (/\p{L}/u.test(character)) return LETTER;
  if (/\p{N}/u.test(character)) return NUMBER;
  return /\p{White_Space}/u.test(character) ? SPACE : OTHER;
}
