/** So many characters are said at once, at least, unless the answer ends. */
const MIN_CHARACTERS = 120;
const SENTENCE_END = /[.!?…。！？؟:]["'”’)\]*_]*(?=\s)|\n/g;

/** An answer as a screen reader should hear it: by whole sentences, without the marks of its Markdown. */
export class SpokenAnswer {
  #said = 0;

  /** The text that can be spoken now, of an answer in progress; empty until there is enough. */
  next(content: string, isComplete: boolean): string {
    const coming = content.slice(this.#said);
    const end = isComplete ? coming.length : ([...coming.matchAll(SENTENCE_END)].at(-1) ?? { index: 0, 0: '' });
    const length = typeof end === 'number' ? end : end.index + end[0].length;
    if (!isComplete && length < MIN_CHARACTERS) return '';
    this.#said += length;
    return toSpeech(coming.slice(0, length));
  }
}

/** Markdown without its marks. */
export function toSpeech(markdown: string): string {
  return markdown
    .replace(/^[ \t]*(```|~~~).*$/gm, '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/^[ \t]*(#{1,6}|>|[-*+](?= ))[ \t]*/gm, '')
    .replace(/^[ \t|:-]+$/gm, '')
    .replace(/\*\*|__|[*`|]/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}
