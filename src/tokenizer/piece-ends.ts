import { classAt, LETTER, NUMBER, OTHER, runEnd, sizeAt, SPACE } from './character-class.ts';

/*
 * The patterns of the families, as code. A regular expression stores a backtracking position for each character that
 * it takes, and overflows at millions. Each function names the alternatives of the pattern that it implements. Tests
 * compare them with the patterns.
 */

/** `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` */
export function gpt2PieceEnd(text: string, place: number, end: number): number {
  const contraction = contractionEnd(text, place, end, false);
  if (contraction > 0) return contraction;
  const start = text[place] === ' ' && place + 1 < end ? place + 1 : place;
  const kind = classAt(text, start);
  return kind === SPACE ? spacesEnd(text, place, end) : runEnd(text, start, end, kind);
}

/**
 * The pattern that Llama 3 and Qwen 2 share but for how many digits stay together: `'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|
 * '[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,DIGITS}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
 */
export function cl100kPieceEnd(digits: number): (text: string, place: number, end: number) => number {
  return (text, place, end) => {
    const contraction = contractionEnd(text, place, end, true);
    if (contraction > 0) return contraction;
    const kind = classAt(text, place);
    if (kind === LETTER) return runEnd(text, place, end, LETTER);
    if (kind === NUMBER) return numberEnd(text, place, end, digits);
    const next = place + sizeAt(text, place);
    if (!isLineEnd(text, place) && next < end && classAt(text, next) === LETTER) return runEnd(text, next, end, LETTER);
    const start = text[place] === ' ' && next < end && classAt(text, next) === OTHER ? next : place;
    if (classAt(text, start) === SPACE) return lastLineEnd(text, place, end) ?? spacesEnd(text, place, end);
    let at = runEnd(text, start, end, OTHER);
    while (at < end && isLineEnd(text, at)) at++;
    return at;
  };
}

/** The end of `'s` and the like, of `'S` too where case is ignored; 0 where there is none. */
function contractionEnd(text: string, place: number, end: number, ignoresCase: boolean): number {
  if (text[place] !== "'") return 0;
  const ending = text.slice(place + 1, Math.min(place + 3, end));
  const [, found] = (ignoresCase ? /^([sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])/ : /^([stmd]|re|ve|ll)/).exec(ending) ?? [];
  return found === undefined ? 0 : place + 1 + found.length;
}

function numberEnd(text: string, place: number, end: number, digits: number): number {
  let at = place;
  for (let count = 0; count < digits && at < end && classAt(text, at) === NUMBER; count++) at += sizeAt(text, at);
  return at;
}

/** `\s+(?!\S)|\s+`: white space, without its last character where another piece follows that may take it. */
function spacesEnd(text: string, place: number, end: number): number {
  const last = runEnd(text, place, end, SPACE);
  return last < end && last - place > 1 ? last - 1 : last;
}

/** `\s*[\r\n]+`: the index after the last line end in white space; undefined where there is none. */
function lastLineEnd(text: string, place: number, end: number): number | undefined {
  let at = runEnd(text, place, end, SPACE);
  while (at > place && !isLineEnd(text, at - 1)) at--;
  return at > place ? at : undefined;
}

function isLineEnd(text: string, place: number): boolean {
  return text[place] === '\n' || text[place] === '\r';
}
