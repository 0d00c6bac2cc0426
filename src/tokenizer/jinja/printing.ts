import { type TemplateBudget } from './budget.ts';
import { TemplateFault, TemplateLimit } from './errors.ts';
import { writeFloat } from './numbers.ts';
import { numberText } from './provenance.ts';
import { type AnyText, charsOf, concatTexts, isSafeText, mapText, ownText } from './text.ts';
import { Callable, Dict, Float, isList, isText, Namespace, Range, Series, Tuple, typeName, Undefined, type Value } from './values.ts';

/** The deepest nesting of lists; no message is as deep. */
export const MAX_NESTING = 64;

/** Python's str(). Its cost is spent as it goes. */
export function print(value: Value, budget: TemplateBudget): AnyText {
  if (value instanceof Undefined) return '';
  return isText(value) ? value : represent(value, budget);
}

/** Python's repr(). */
export function represent(value: Value, budget: TemplateBudget, depth = 0): AnyText {
  budget.spend(1);
  if (depth > MAX_NESTING) throw new TemplateLimit(`a value nests deeper than ${MAX_NESTING}`);
  if (value === null) return ownText('None');
  if (typeof value === 'boolean') return ownText(value ? 'True' : 'False');
  if (typeof value === 'number') return numberText(String(value), budget);
  if (value instanceof Float) return numberText(writeFloat(value.value), budget);
  if (isText(value)) {
    budget.spendChars(charsOf(value).length);
    return mapText(value, isSafeText(value) ? (text) => `Markup(${quote(text)})` : quote);
  }
  const inner = (item: Value): AnyText => represent(item, budget, depth + 1);
  const list = (open: string, items: readonly Value[], close: string): AnyText => enclose(open, items.map(inner), ', ', close, budget);
  const pairs = (open: string, entries: Iterable<readonly [Value, Value]>, close: string): AnyText =>
    enclose(open, Array.from(entries, (entry) => enclose('', entry.map(inner), ': ', '', budget)), ', ', close, budget);
  if (isList(value)) return list('[', value, ']');
  if (value instanceof Range) {
    return numberText(`range(${value.bounds.slice(0, value.bounds[2] === 1 ? 2 : 3).join(', ')})`, budget);
  }
  if (value instanceof Tuple) return list('(', value.items, value.items.length === 1 ? ',)' : ')');
  if (value instanceof Dict) return pairs('{', value.entries(), '}');
  if (value instanceof Namespace) return pairs('<Namespace {', value.attributes, '}>');
  if (value instanceof Series && value.kind !== 'generator') return list(`${value.kind}([`, value.take(), '])');
  return describe(value);
}

/** Values without elements. */
function describe(value: Value): AnyText {
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Series) return '<generator object>';
  return value instanceof Callable ? `<${typeName(value)} '${value.name}'>` : `<${typeName(value)}>`;
}

/** Texts between brackets, with separators of the template's own. */
function enclose(open: string, texts: readonly AnyText[], separator: string, close: string, budget: TemplateBudget): AnyText {
  const between = ownText(separator);
  const separated = texts.flatMap((text, i) => (i === 0 ? [text] : [between, text]));
  return concatTexts([ownText(open), ...separated, ownText(close)], budget);
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A quoted text, as Python writes it: in single quotes unless it contains those and no double ones. */
function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replace(/[\\'"\n\r\t]|(?! )[\p{C}\p{Z}]/gu, (character) => {
    if (character === "'" || character === '"') return character === mark ? `\\${character}` : character;
    return ESCAPES[character] ?? escapeCodePoint(character.codePointAt(0) ?? 0);
  });
  return mark + body + mark;
}

function escapeCodePoint(code: number): string {
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

export interface JsonOptions {
  readonly ensureAscii: boolean;
  /** The indentation of a level; undefined for a single line. */
  readonly indent: AnyText | undefined;
  readonly separators: readonly [item: AnyText, key: AnyText];
  readonly sortKeys: boolean;
}

/** Python's json.dumps(). */
export function toJson(value: Value, options: JsonOptions, budget: TemplateBudget, depth = 0): AnyText {
  budget.spend(1);
  if (depth > MAX_NESTING) throw new TemplateLimit(`a value nests deeper than ${MAX_NESTING}`);
  if (value === null) return ownText('null');
  if (typeof value === 'boolean') return ownText(String(value));
  if (typeof value === 'number') return numberText(String(value), budget);
  if (value instanceof Float) return numberText(jsonFloat(value.value), budget);
  if (isText(value)) return jsonText(value, options, budget);
  const write = (item: Value): AnyText => toJson(item, options, budget, depth + 1);
  if (isList(value) || (value instanceof Tuple && !(value instanceof Range))) {
    return jsonContainer('[', ']', (isList(value) ? value : value.items).map(write), options, budget, depth);
  }
  if (!(value instanceof Dict)) throw new TemplateFault(`Object of type ${typeName(value)} is not JSON serializable`);
  const entries = value.entries().map(([key, item]) => [jsonKey(key), item] as const);
  if (options.sortKeys) entries.sort(([a], [b]) => (charsOf(a) < charsOf(b) ? -1 : Number(charsOf(a) > charsOf(b))));
  const parts = entries.map(([key, item]) =>
    concatTexts([jsonText(key, options, budget), options.separators[1], write(item)], budget),
  );
  return jsonContainer('{', '}', parts, options, budget, depth);
}

function jsonContainer(
  open: string,
  close: string,
  parts: readonly AnyText[],
  { indent, separators }: JsonOptions,
  budget: TemplateBudget,
  depth: number,
): AnyText {
  const indentChars = indent === undefined ? 0 : charsOf(indent).length;
  const lengths = parts.length * (charsOf(separators[0]).length + (indent === undefined ? 0 : 1 + indentChars * (depth + 1)));
  budget.spendChars(lengths + indentChars * depth);
  const isOneLine = indent === undefined || parts.length === 0;
  const line = (level: number): AnyText =>
    isOneLine ? '' : concatTexts([ownText('\n'), ...Array.from({ length: level }, () => indent)], budget);
  const between = concatTexts([separators[0], line(depth + 1)], budget);
  const separated = parts.flatMap((part, i) => (i === 0 ? [part] : [between, part]));
  return concatTexts([ownText(open), line(depth + 1), ...separated, line(depth), ownText(close)], budget);
}

function jsonText(text: AnyText, { ensureAscii }: JsonOptions, budget: TemplateBudget): AnyText {
  budget.spendChars(charsOf(text).length);
  return mapText(text, (chars) => {
    const json = JSON.stringify(chars);
    if (!ensureAscii) return json;
    return json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  });
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? writeFloat(value) : value > 0 ? 'Infinity' : '-Infinity';
}

function jsonKey(key: Value): AnyText {
  if (isText(key)) return key;
  if (key === null) return 'null';
  if (typeof key === 'boolean' || typeof key === 'number') return String(key);
  if (key instanceof Float) return jsonFloat(key.value);
  throw new TemplateFault(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}
