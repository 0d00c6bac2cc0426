import { type TemplateBudget } from './budget.ts';

/**
 * A text of the template language. A plain string is data, such as a message: none of it is the template's own. So an
 * operation that ignores provenance makes data.
 */
export type AnyText = string | Text;

/** A text that is the template's own, wholly or in part, or that the filter `safe` has marked. */
export class Text {
  readonly chars: string;
  /**
   * The characters that are data: the starts and ends of spans in UTF-16 units, start, end, start, end and so on,
   * ascending. No span is empty, and no two touch.
   */
  readonly data: readonly number[];
  /** Text added to it is escaped for HTML, as MarkupSafe does. */
  readonly isSafe: boolean;

  constructor(chars: string, data: readonly number[] = [], isSafe = false) {
    this.chars = chars;
    this.data = data;
    this.isSafe = isSafe;
  }
}

/** A text of the template's own. */
export function ownText(chars: string): Text {
  return new Text(chars);
}

export function charsOf(text: AnyText): string {
  return typeof text === 'string' ? text : text.chars;
}

export function spansOf(text: AnyText): readonly number[] {
  return typeof text !== 'string' ? text.data : text === '' ? [] : [0, text.length];
}

/** Whether no character is data. */
export function isOwn(text: AnyText): boolean {
  return spansOf(text).length === 0;
}

export function isSafeText(value: unknown): boolean {
  return value instanceof Text && value.isSafe;
}

/** A text made of another, marked as safe if that is. */
export function keepSafe(text: unknown, made: AnyText): AnyText {
  return isSafeText(text) ? markSafe(made) : made;
}

export function markSafe(text: AnyText): Text {
  return new Text(charsOf(text), spansOf(text), true);
}

/** A text mapped as a whole: the template's own if all of the text is, else data. */
export function mapText(text: AnyText, map: (chars: string) => string): AnyText {
  const mapped = map(charsOf(text));
  return isOwn(text) ? ownText(mapped) : mapped;
}

/** The same for a mapping that does not depend on neighbouring characters: each part keeps its provenance. */
export function mapParts(text: AnyText, map: (chars: string) => string, budget: TemplateBudget): AnyText {
  const parts = partsOf(text).map((part) => (part.isOwn ? ownText(map(part.text)) : map(part.text)));
  return concatTexts(parts, budget);
}

/** Concatenates texts. Its user spends the cost of characters; this spends the cost of spans. */
export class TextBuilder {
  readonly #budget: TemplateBudget;
  readonly #data: number[] = [];
  #chars = '';

  constructor(budget: TemplateBudget) {
    this.#budget = budget;
  }

  add(text: AnyText): void {
    const place = this.#chars.length;
    this.#chars += charsOf(text);
    const spans = spansOf(text);
    this.#budget.spendElements(spans.length);
    for (let i = 0; i < spans.length; i += 2) {
      const start = place + (spans[i] ?? 0);
      if (this.#data.at(-1) === start) this.#data.pop();
      else this.#data.push(start);
      this.#data.push(place + (spans[i + 1] ?? 0));
    }
  }

  build(): AnyText {
    return makeText(this.#chars, this.#data);
  }
}

function makeText(chars: string, data: readonly number[]): AnyText {
  return data[0] === 0 && data[1] === chars.length ? chars : new Text(chars, data);
}

export function concatTexts(texts: readonly AnyText[], budget: TemplateBudget): AnyText {
  const builder = new TextBuilder(budget);
  for (const text of texts) builder.add(text);
  return builder.build();
}

/** Part of a text; bounds are in UTF-16 units, as in `String.slice`. The mark of safe text is lost. */
export function sliceText(text: AnyText, from: number, to = charsOf(text).length): AnyText {
  const chars = charsOf(text).slice(from, to);
  if (typeof text === 'string' || chars === '') return chars;
  if (isOwn(text)) return ownText(chars);
  const { length } = text.chars;
  const start = from < 0 ? Math.max(0, from + length) : from;
  const end = start + chars.length;
  const data: number[] = [];
  for (let i = firstSpanBehind(text.data, start); i < text.data.length; i += 2) {
    const [spanStart = 0, spanEnd = 0] = [text.data[i], text.data[i + 1]];
    if (spanStart >= end) break;
    data.push(Math.max(spanStart, start) - start, Math.min(spanEnd, end) - start);
  }
  return makeText(chars, data);
}

/** The index of the first span that ends after a position. */
function firstSpanBehind(spans: readonly number[], place: number): number {
  let [low, high] = [0, spans.length / 2];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[2 * middle + 1] ?? 0) <= place) low = middle + 1;
    else high = middle;
  }
  return 2 * low;
}

const SURROGATE = /[\ud800-\udfff]/;

/** Whether each code point is one UTF-16 unit, so that indices equal Python's. */
export function hasPlainPlaces(chars: string): boolean {
  return !SURROGATE.test(chars);
}

/** The code points of a text, one text each. */
export function charactersOf(text: AnyText): readonly AnyText[] {
  if (typeof text === 'string') return [...text];
  let place = 0;
  return [...text.chars].map((character) => sliceText(text, place, (place += character.length)));
}

/** A part of a rendered text: the template's own words, or data. */
export interface TextPart {
  readonly text: string;
  readonly isOwn: boolean;
}

/** A text split where data begins and ends; no part is empty. */
export function partsOf(text: AnyText): readonly TextPart[] {
  const [chars, spans] = [charsOf(text), spansOf(text)];
  const parts: TextPart[] = [];
  let end = 0;
  for (let i = 0; i <= spans.length; i += 2) {
    const [start, next] = [spans[i] ?? chars.length, spans[i + 1] ?? chars.length];
    if (start > end) parts.push({ text: chars.slice(end, start), isOwn: true });
    if (next > start) parts.push({ text: chars.slice(start, next), isOwn: false });
    end = next;
  }
  return parts;
}
