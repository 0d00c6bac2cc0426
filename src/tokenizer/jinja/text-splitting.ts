import { TemplateFault } from './errors.ts';
import { type TemplateBudget } from './budget.ts';
import { spendSearch } from './comparing.ts';
import { type AnyText, charactersOf, charsOf, concatTexts, isOwn, mapText, sliceText } from './text.ts';
import { countCodePoints } from './values.ts';

/** Python's white space, which differs a little from JavaScript's. */
const SPACES = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const SPACE = new RegExp(`[${SPACES}]`);
const WORDS = new RegExp(`[^${SPACES}]+`, 'g');
const LINE_ENDS = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029';
const LINE_END = new RegExp(`\\r\\n|[${LINE_ENDS}]`, 'g');

export type Side = 'left' | 'right' | 'both';

export function isSpace(character: string): boolean {
  return SPACE.test(character);
}

/** Removes characters from the ends: those of `characters`, or white space. */
export function strip(text: AnyText, characters?: string, side: Side = 'both'): AnyText {
  const chars = charsOf(text);
  const set = characters === undefined ? undefined : new Set(characters);
  const goes = (character: string): boolean => (set === undefined ? SPACE.test(character) : set.has(character));
  const points = /[\ud800-\udfff]/.test(characters ?? '') ? [...chars] : chars;
  let [start, end] = [0, points.length];
  let [left, right] = [0, chars.length];
  if (side !== 'right') for (; start < end && goes(points[start] ?? ''); start++) left += points[start]?.length ?? 0;
  if (side !== 'left') for (; end > start && goes(points[end - 1] ?? ''); end--) right -= points[end - 1]?.length ?? 0;
  return sliceText(text, left, right);
}

/** @param most the most splits; negative for any number */
export function split(text: AnyText, separator: string | undefined, most: number, budget: TemplateBudget): readonly AnyText[] {
  if (separator === undefined) return splitWords(text, most, budget);
  const chars = charsOf(text);
  checkSeparator(chars, separator, budget);
  const parts: AnyText[] = [];
  let start = 0;
  for (let place = chars.indexOf(separator); place >= 0 && parts.length !== most; place = chars.indexOf(separator, start)) {
    parts.push(sliceText(text, start, place));
    start = place + separator.length;
  }
  parts.push(sliceText(text, start));
  return parts;
}

/** The same from the right. */
export function rsplit(text: AnyText, separator: string | undefined, most: number, budget: TemplateBudget): readonly AnyText[] {
  if (separator === undefined) return rsplitWords(text, most, budget);
  if (most < 0) return split(text, separator, most, budget);
  const chars = charsOf(text);
  checkSeparator(chars, separator, budget);
  const parts: AnyText[] = [];
  let end = chars.length;
  for (let cuts = 0; cuts < most; cuts++) {
    const place = end < separator.length ? -1 : chars.lastIndexOf(separator, end - separator.length);
    if (place < 0) break;
    parts.push(sliceText(text, place + separator.length, end));
    end = place;
  }
  return [sliceText(text, 0, end), ...parts.reverse()];
}

function checkSeparator(text: string, separator: string, budget: TemplateBudget): void {
  if (separator === '') throw new TemplateFault('empty separator');
  spendSearch(text, separator, budget);
  budget.spendElements(text.length / separator.length);
}

/** The start and end of each word. */
function wordsOf(text: AnyText, budget: TemplateBudget): readonly (readonly [start: number, end: number])[] {
  const chars = charsOf(text);
  budget.spendElements(chars.length / 2);
  return Array.from(chars.matchAll(WORDS), ({ 0: word, index }) => [index, index + word.length] as const);
}

function splitWords(text: AnyText, most: number, budget: TemplateBudget): readonly AnyText[] {
  const words = wordsOf(text, budget);
  const slices = (from: number, to: number): readonly AnyText[] => words.slice(from, to).map(([start, end]) => sliceText(text, start, end));
  if (most < 0 || words.length <= most) return slices(0, words.length);
  return [...slices(0, most), sliceText(text, words[most]?.[0] ?? 0)];
}

function rsplitWords(text: AnyText, most: number, budget: TemplateBudget): readonly AnyText[] {
  const words = wordsOf(text, budget);
  const first = Math.max(0, most < 0 ? 0 : words.length - most);
  const last = words.slice(first).map(([start, end]) => sliceText(text, start, end));
  return first === 0 ? last : [sliceText(text, 0, words[first - 1]?.[1] ?? 0), ...last];
}

export function splitLines(text: AnyText, keepsEnds: boolean, budget: TemplateBudget): readonly AnyText[] {
  const chars = charsOf(text);
  budget.spendElements(chars.length);
  const lines: AnyText[] = [];
  let start = 0;
  for (const { 0: end, index } of chars.matchAll(LINE_END)) {
    lines.push(sliceText(text, start, keepsEnds ? index + end.length : index));
    start = index + end.length;
  }
  if (start < chars.length) lines.push(sliceText(text, start));
  return lines;
}

/** At most `most` replacements; all where that is negative. */
export function replaceText(text: AnyText, old: string, by: AnyText, most: number, budget: TemplateBudget): AnyText {
  const [chars, byChars] = [charsOf(text), charsOf(by)];
  const places = old === '' ? chars.length + 1 : Math.floor(chars.length / old.length);
  const count = most < 0 ? places : Math.min(most, places);
  budget.spendChars(chars.length * Math.max(1, old.length) + count * byChars.length);
  budget.spendElements(count);
  if (count === 0) return text;
  if (old === '') return insertBetween(text, by, count, budget);
  const isData = typeof text === 'string' && (typeof by === 'string' || byChars === '');
  if (most < 0 && (isData || (isOwn(text) && isOwn(by)))) return mapText(text, () => chars.replaceAll(old, () => byChars));
  return joinTexts(split(text, old, count, budget), by, budget);
}

function insertBetween(text: AnyText, by: AnyText, most: number, budget: TemplateBudget): AnyText {
  const points = charactersOf(text);
  const count = Math.min(most, points.length + 1);
  const head = points.slice(0, count).flatMap((point) => [by, point]);
  return concatTexts([...head, ...points.slice(count), count > points.length ? by : ''], budget);
}

export function joinTexts(texts: readonly AnyText[], separator: AnyText, budget: TemplateBudget): AnyText {
  budget.spendElements(texts.length);
  budget.spendChars(texts.reduce((sum, text) => sum + charsOf(text).length, charsOf(separator).length * texts.length));
  return concatTexts(texts.flatMap((text, i) => (i === 0 ? [text] : [separator, text])), budget);
}

/** The number of non-overlapping occurrences of a text. */
export function countIn(text: string, part: string, budget: TemplateBudget): number {
  if (part === '') return countCodePoints(text) + 1;
  spendSearch(text, part, budget);
  let count = 0;
  for (let place = text.indexOf(part); place >= 0; place = text.indexOf(part, place + part.length)) count++;
  return count;
}
