import { type TemplateBudget } from './budget.ts';
import { TemplateFault, TemplateLimit } from './errors.ts';
import { writeFloat } from './numbers.ts';
import { Callable, Dict, Float, isList, Namespace, Range, SafeText, Series, textOf, Tuple, typeName, Undefined, type Value } from './values.ts';

/** Lists inside lists, deeper than any message is. */
export const MAX_NESTING = 64;

/** Python's str(). What it costs is spent on the way. */
export function print(value: Value, budget: TemplateBudget): string {
  if (value instanceof Undefined) return '';
  return textOf(value) ?? represent(value, budget);
}

/** Python's repr(). */
export function represent(value: Value, budget: TemplateBudget, depth = 0): string {
  budget.spend(1);
  if (depth > MAX_NESTING) throw new TemplateLimit(`a value nests deeper than ${MAX_NESTING}`);
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return String(value);
  if (value instanceof Float) return writeFloat(value.value);
  const text = textOf(value);
  if (text !== undefined) {
    budget.spendChars(text.length);
    return value instanceof SafeText ? `Markup(${quote(text)})` : quote(text);
  }
  const list = (items: readonly Value[]): string => items.map((item) => represent(item, budget, depth + 1)).join(', ');
  const pairs = (entries: Iterable<readonly [Value, Value]>): string =>
    [...entries]
      .map(([key, item]) => `${represent(key, budget, depth + 1)}: ${represent(item, budget, depth + 1)}`)
      .join(', ');
  if (isList(value)) return `[${list(value)}]`;
  if (value instanceof Range) return `range(${value.bounds.slice(0, value.bounds[2] === 1 ? 2 : 3).join(', ')})`;
  if (value instanceof Tuple) return `(${list(value.items)}${value.items.length === 1 ? ',' : ''})`;
  if (value instanceof Dict) return `{${pairs(value.entries())}}`;
  if (value instanceof Namespace) return `<Namespace {${pairs(value.attributes)}}>`;
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Series) return value.kind === 'generator' ? '<generator object>' : `${value.kind}([${list(value.take())}])`;
  if (value instanceof Callable) return `<${typeName(value)} '${value.name}'>`;
  return `<${typeName(value)}>`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A text between quotes, as Python writes it: single ones unless only those are in it. */
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
  /** What a level is indented by; undefined for all in one line. */
  readonly indent: string | undefined;
  readonly separators: readonly [item: string, key: string];
  readonly sortKeys: boolean;
}

/** Python's json.dumps(). */
export function toJson(value: Value, options: JsonOptions, budget: TemplateBudget, depth = 0): string {
  budget.spend(1);
  if (depth > MAX_NESTING) throw new TemplateLimit(`a value nests deeper than ${MAX_NESTING}`);
  if (value === null) return 'null';
  if (typeof value === 'boolean' || typeof value === 'number') return String(value);
  if (value instanceof Float) return jsonFloat(value.value);
  const text = textOf(value);
  if (text !== undefined) return jsonText(text, options, budget);
  const write = (item: Value): string => toJson(item, options, budget, depth + 1);
  if (isList(value) || (value instanceof Tuple && !(value instanceof Range))) {
    return jsonContainer('[', ']', (isList(value) ? value : value.items).map(write), options, budget, depth);
  }
  if (!(value instanceof Dict)) throw new TemplateFault(`Object of type ${typeName(value)} is not JSON serializable`);
  const entries = value.entries().map(([key, item]) => [jsonKey(key), item] as const);
  if (options.sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
  const parts = entries.map(([key, item]) => jsonText(key, options, budget) + options.separators[1] + write(item));
  return jsonContainer('{', '}', parts, options, budget, depth);
}

function jsonContainer(
  open: string,
  close: string,
  parts: readonly string[],
  { indent, separators }: JsonOptions,
  budget: TemplateBudget,
  depth: number,
): string {
  const lengths = parts.length * (separators[0].length + (indent === undefined ? 0 : 1 + indent.length * (depth + 1)));
  budget.spendChars(lengths + (indent?.length ?? 0) * depth);
  if (indent === undefined || parts.length === 0) return open + parts.join(separators[0]) + close;
  const line = `\n${indent.repeat(depth + 1)}`;
  return `${open}${line}${parts.join(separators[0] + line)}\n${indent.repeat(depth)}${close}`;
}

function jsonText(text: string, { ensureAscii }: JsonOptions, budget: TemplateBudget): string {
  budget.spendChars(text.length);
  const json = JSON.stringify(text);
  if (!ensureAscii) return json;
  return json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? writeFloat(value) : value > 0 ? 'Infinity' : '-Infinity';
}

function jsonKey(key: Value): string {
  const text = textOf(key);
  if (text !== undefined) return text;
  if (key === null) return 'null';
  if (typeof key === 'boolean' || typeof key === 'number') return String(key);
  if (key instanceof Float) return jsonFloat(key.value);
  throw new TemplateFault(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}
