import { TemplateFault } from './errors.ts';
import { type TemplateBudget } from './budget.ts';
import { spendSearch } from './comparing.ts';
import { countCodePoints } from './values.ts';

/** Python's white space, which is not quite JavaScript's. */
const SPACES = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const SPACE = new RegExp(`[${SPACES}]`);
const WORDS = new RegExp(`[^${SPACES}]+`, 'g');
const LINE_ENDS = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029';
const LINE_END = new RegExp(`\\r\\n|[${LINE_ENDS}]`, 'g');

export type Side = 'left' | 'right' | 'both';

export function isSpace(character: string): boolean {
  return SPACE.test(character);
}

/** Takes characters off the ends: those of `characters`, or white space. */
export function strip(text: string, characters?: string, side: Side = 'both'): string {
  const set = characters === undefined ? undefined : new Set(characters);
  const goes = (character: string): boolean => (set === undefined ? SPACE.test(character) : set.has(character));
  const [points, chars] = /[\ud800-\udfff]/.test(characters ?? '') ? [[...text], [...text]] : [text, undefined];
  let [start, end] = [0, points.length];
  if (side !== 'right') while (start < end && goes(points[start] ?? '')) start++;
  if (side !== 'left') while (end > start && goes(points[end - 1] ?? '')) end--;
  return chars === undefined ? text.slice(start, end) : chars.slice(start, end).join('');
}

/** @param most the number of cuts; negative for any */
export function split(text: string, separator: string | undefined, most: number, budget: TemplateBudget): readonly string[] {
  if (separator === undefined) return splitWords(text, most, budget);
  checkSeparator(text, separator, budget);
  const parts = text.split(separator);
  if (most < 0 || parts.length <= most + 1) return parts;
  return [...parts.slice(0, most), parts.slice(most).join(separator)];
}

/** The same from the right. */
export function rsplit(text: string, separator: string | undefined, most: number, budget: TemplateBudget): readonly string[] {
  if (separator === undefined) return rsplitWords(text, most, budget);
  if (most < 0) return split(text, separator, most, budget);
  checkSeparator(text, separator, budget);
  const parts: string[] = [];
  let end = text.length;
  for (let cuts = 0; cuts < most; cuts++) {
    const place = end < separator.length ? -1 : text.lastIndexOf(separator, end - separator.length);
    if (place < 0) break;
    parts.push(text.slice(place + separator.length, end));
    end = place;
  }
  return [text.slice(0, end), ...parts.reverse()];
}

function checkSeparator(text: string, separator: string, budget: TemplateBudget): void {
  if (separator === '') throw new TemplateFault('empty separator');
  spendSearch(text, separator, budget);
  budget.spendElements(text.length / separator.length);
}

function splitWords(text: string, most: number, budget: TemplateBudget): readonly string[] {
  budget.spendElements(text.length / 2);
  const words = [...text.matchAll(WORDS)];
  if (most < 0 || words.length <= most) return words.map(([word]) => word);
  return [...words.slice(0, most).map(([word]) => word), text.slice(words[most]?.index)];
}

function rsplitWords(text: string, most: number, budget: TemplateBudget): readonly string[] {
  budget.spendElements(text.length / 2);
  const words = [...text.matchAll(WORDS)];
  if (most < 0 || words.length <= most) return words.map(([word]) => word);
  const last = words[words.length - most - 1];
  const first = text.slice(0, last === undefined ? 0 : last.index + last[0].length);
  return [first, ...words.slice(words.length - most).map(([word]) => word)];
}

export function splitLines(text: string, keepsEnds: boolean, budget: TemplateBudget): readonly string[] {
  budget.spendElements(text.length);
  const lines: string[] = [];
  let start = 0;
  for (const { 0: end, index } of text.matchAll(LINE_END)) {
    lines.push(text.slice(start, keepsEnds ? index + end.length : index));
    start = index + end.length;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

/** At most `most` replacements; all of them where that is negative. */
export function replaceText(text: string, old: string, by: string, most: number, budget: TemplateBudget): string {
  const places = old === '' ? text.length + 1 : Math.floor(text.length / old.length);
  const count = most < 0 ? places : Math.min(most, places);
  budget.spendChars(text.length * Math.max(1, old.length) + count * by.length);
  budget.spendElements(count);
  if (count === 0) return text;
  if (old === '') return insertBetween(text, by, count);
  if (most < 0) return text.replaceAll(old, () => by);
  return split(text, old, count, budget).join(by);
}

function insertBetween(text: string, by: string, most: number): string {
  const points = [...text];
  const count = Math.min(most, points.length + 1);
  const head = points.slice(0, count).map((point) => by + point);
  return head.join('') + points.slice(count).join('') + (count > points.length ? by : '');
}

/** How often a text is in another, side by side. */
export function countIn(text: string, part: string, budget: TemplateBudget): number {
  if (part === '') return countCodePoints(text) + 1;
  spendSearch(text, part, budget);
  let count = 0;
  for (let place = text.indexOf(part); place >= 0; place = text.indexOf(part, place + part.length)) count++;
  return count;
}
