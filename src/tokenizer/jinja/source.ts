import { tokenize } from '@huggingface/jinja';
import { TemplateFault } from './errors.ts';

/** The tokens that the library's parser reads. */
export type Token = ReturnType<typeof tokenize>[number];

/** `generation` only marks the assistant's text. Its body has its own scope, as a filter's has. */
export const GENERATION_FILTER = 'a generation';

const NOT_A_SPACE = /\S/;
const TAG = /\{[{%#]/g;
const RAW_BEGIN = /\{%[-+]?\s*raw\s*(?:-%\}\s*|%\})/y;
const RAW_END = /\{%([-+]?)\s*endraw\s*(?:-%\}\s*|\+%\}|%\}\n?)/g;
const END = { '{{': /-\}\}\s*|\}\}/y, '{%': /-%\}\s*|\+%\}|%\}\n?/y } as const;
const COMMENT_END = /(?:-#\}\s*|\+#\}|#\}\n?)/y;
const GENERATION = /^\s*(end)?generation\s*$/;

/**
 * Splits a template into tokens. White space around tags and at line ends is handled as in Jinja2 with `trim_blocks`
 * and `lstrip_blocks`, and strings as in Python. The library, which is close to both but not the same, tokenizes the
 * inside of tags.
 *
 * @throws TemplateFault
 */
export function tokenizeTemplate(source: string): readonly Token[] {
  const text = source.replace(/\r\n?/g, '\n').replace(/\n$/, '');
  const tokens: Token[] = [];
  let place = 0;
  while (place < text.length) {
    TAG.lastIndex = place;
    const tag = TAG.exec(text);
    const start = tag?.index ?? text.length;
    const data = text.slice(place, start);
    const beginsLine = place === 0 || text[place - 1] === '\n';
    appendText(tokens, tag === null ? data : trimBefore(data, text[start + 2], tag[0] === '{{', beginsLine));
    place = tag === null ? text.length : readTag(text, start, tokens);
  }
  return tokens;
}

function appendText(tokens: Token[], value: string): void {
  if (value !== '') tokens.push({ type: 'Text', value });
}

/** The text before a tag, trimmed. */
function trimBefore(data: string, mark: string | undefined, isExpression: boolean, beginsLine: boolean): string {
  if (mark === '-') return trimEnd(data);
  if (mark === '+' || isExpression) return data;
  const line = data.lastIndexOf('\n') + 1;
  const isFirst = line === 0 && !beginsLine;
  return isFirst || NOT_A_SPACE.test(data.slice(line)) ? data : data.slice(0, line);
}

function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && !NOT_A_SPACE.test(text[end - 1] ?? '')) end--;
  return text.slice(0, end);
}

/** @returns the start of the text after the tag */
function readTag(text: string, start: number, tokens: Token[]): number {
  const open = text.slice(start, start + 2);
  if (open === '{#') return commentEnd(text, start);
  RAW_BEGIN.lastIndex = start;
  if (open === '{%' && RAW_BEGIN.test(text)) return readRaw(text, RAW_BEGIN.lastIndex, tokens);
  const inner = /[-+]/.test(text[start + 2] ?? '') ? start + 3 : start + 2;
  const { code, end } = readCode(text, inner, open === '{{' ? END['{{'] : END['{%']);
  const generation = open === '{%' ? GENERATION.exec(code) : null;
  if (generation === null) tokens.push(...tokenize(`${open} ${code} ${open === '{{' ? '}}' : '%}'}`));
  else tokens.push(...generationTokens(generation[1] !== undefined));
  return end;
}

function commentEnd(text: string, start: number): number {
  const close = text.indexOf('#}', start + 2);
  if (close < 0) throw new TemplateFault('a comment has no end');
  const hasMark = close > start + 3 && /[-+]/.test(text[close - 1] ?? '');
  COMMENT_END.lastIndex = hasMark ? close - 1 : close;
  COMMENT_END.test(text);
  return COMMENT_END.lastIndex;
}

function readRaw(text: string, start: number, tokens: Token[]): number {
  RAW_END.lastIndex = start;
  const end = RAW_END.exec(text);
  if (end === null) throw new TemplateFault('raw has no end');
  const data = text.slice(start, end.index);
  const beginsLine = text[start - 1] === '\n';
  appendText(tokens, trimBefore(data, end[1] === '' ? undefined : end[1], false, beginsLine));
  return RAW_END.lastIndex;
}

function generationTokens(ends: boolean): readonly Token[] {
  const name: Token = { type: 'Identifier', value: ends ? 'endfilter' : 'filter' };
  const filter: readonly Token[] = ends ? [] : [{ type: 'Identifier', value: GENERATION_FILTER }];
  return [{ type: 'OpenStatement', value: '{%' }, name, ...filter, { type: 'CloseStatement', value: '%}' }];
}

/**
 * The inside of a tag, up to its end, which lies outside strings and brackets. White space and strings are rewritten.
 */
function readCode(text: string, start: number, end: RegExp): { readonly code: string; readonly end: number } {
  const parts: string[] = [];
  let open = 0;
  let place = start;
  while (place < text.length) {
    const character = text[place] ?? '';
    end.lastIndex = place;
    if (open === 0 && end.test(text)) return { code: parts.join(''), end: end.lastIndex };
    if (character === "'" || character === '"') {
      const close = stringEnd(text, place);
      parts.push(writeString(text.slice(place + 1, close)));
      place = close + 1;
      continue;
    }
    if ('([{'.includes(character)) open++;
    if (')]}'.includes(character)) open--;
    const isSpace = !NOT_A_SPACE.test(character);
    if (!isSpace || parts.at(-1) !== ' ') parts.push(isSpace ? ' ' : character);
    place++;
  }
  throw new TemplateFault('a tag has no end');
}

function stringEnd(text: string, start: number): number {
  const mark = text[start];
  for (let place = start + 1; place < text.length; place++) {
    if (text[place] === mark) return place;
    if (text[place] === '\\') place++;
  }
  throw new TemplateFault('a string has no end');
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  '\n': '', '\\': '\\', "'": "'", '"': '"', a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v',
};
const ESCAPE = /\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([^]))/g;

/** A Python string's body, rewritten as a string that the library reads the same way. */
function writeString(body: string): string {
  const value = body.replace(ESCAPE, (escape, octal?: string, x?: string, u?: string, long?: string, letter = '') => {
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
    const hex = x ?? u ?? long;
    if (hex !== undefined) return codePoint(Number.parseInt(hex, 16));
    if ('xuUN'.includes(letter)) throw new TemplateFault(`a string has an escape \\${letter} that cannot be read`);
    return Object.hasOwn(SIMPLE_ESCAPES, letter) ? (SIMPLE_ESCAPES[letter] ?? '') : escape;
  });
  return `"${value.replace(/[\\"%]|\s/g, (c) => ('\\"'.includes(c) ? `\\${c}` : escapeUnit(c)))}"`;
}

function codePoint(code: number): string {
  if (code > 0x10ffff) throw new TemplateFault('a string has an escape that is no character');
  return String.fromCodePoint(code);
}

/** The library looks for tags in strings too, in a time that grows with the square of consecutive white space. */
function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
