/** The character classes of pre-tokenizers: `\p{L}`, `\p{N}`, `\p{White_Space}` and all others. */
export const LETTER = 1;
export const NUMBER = 2;
export const SPACE = 3;
export const OTHER = 4;

/** By code point; 0 for one that has not been classified yet. */
let known: Uint8Array | undefined;

/** The class of the code point at an index; half of a surrogate pair alone is OTHER. */
export function classAt(text: string, place: number): number {
  known ??= new Uint8Array(0x110000);
  const unit = text.charCodeAt(place);
  const code = unit >= 0xd800 && unit <= 0xdbff ? (text.codePointAt(place) ?? unit) : unit;
  return known[code] || (known[code] = classify(String.fromCodePoint(code)));
}

/** The number of UTF-16 units of the code point at an index. */
export function sizeAt(text: string, place: number): number {
  const unit = text.charCodeAt(place);
  return unit >= 0xd800 && unit <= 0xdbff && (text.codePointAt(place) ?? 0) > 0xffff ? 2 : 1;
}

/** The end of the run of one class that starts at an index, at most `end`. */
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
