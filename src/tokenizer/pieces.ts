import { classAt, NUMBER, sizeAt } from './character-class.ts';
import type { PreTokenizer } from './pre-tokenizers.ts';

/** The text split into the pieces that BPE works on, in order. */
export function* cutIntoPieces(text: string, { separatesDigits, pieceEnd }: PreTokenizer): Generator<string, void, undefined> {
  let sectionEnd = separatesDigits ? 0 : text.length;
  for (let place = 0; place < text.length;) {
    if (place === sectionEnd) sectionEnd = nextNumber(text, place);
    const end = place === sectionEnd ? place + sizeAt(text, place) : pieceEnd(text, place, sectionEnd);
    if (place === sectionEnd) sectionEnd = end;
    yield text.slice(place, end);
    place = end;
  }
}

/** The index of the next `\p{N}`, else the text's end. */
function nextNumber(text: string, place: number): number {
  let at = place;
  while (at < text.length && classAt(text, at) !== NUMBER) at += sizeAt(text, at);
  return at;
}
