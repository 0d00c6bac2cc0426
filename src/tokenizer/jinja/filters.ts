import { type TemplateBudget } from './budget.ts';
import { TemplateFault } from './errors.ts';
import { bind } from './arguments.ts';
import { escapeHtml } from './html.ts';
import { SEQUENCE_FILTERS } from './sequence-filters.ts';
import { SELECTING_FILTERS } from './selecting-filters.ts';
import { type Filter } from './filter.ts';
import { print } from './printing.ts';
import { TEXT_FILTERS } from './text-filters.ts';
import { charsOf, isOwn, markSafe } from './text.ts';
import { Float, integer, isText, isTrue, numberOf, textOf, typeName, Undefined, type Value } from './values.ts';
import { roundTo } from './numbers.ts';

const orDefault: Filter = (value, args) => {
  const [fallback = '', orFalse = false] = bind('default', args, ['default_value', 'boolean']);
  return value instanceof Undefined || (isTrue(orFalse) && !isTrue(value)) ? fallback : value;
};

const escape: Filter = (value, _, { budget }) => {
  const text = print(value, budget);
  budget.spendChars(charsOf(text).length * 5);
  return markSafe(escapeHtml(text, budget));
};

/** The characters that a number is parsed from. */
function readChars(value: Value, budget: TemplateBudget): string | undefined {
  if (!isText(value)) return undefined;
  if (!isOwn(value)) budget.numbersAreData = true;
  budget.spendChars(charsOf(value).length);
  return charsOf(value);
}

const VALUE_FILTERS: Readonly<Record<string, Filter>> = {
  abs: (value) => {
    const number = numberOf(value);
    if (number === undefined) throw new TemplateFault(`bad operand type for abs(): '${typeName(value)}'`);
    return value instanceof Float ? new Float(Math.abs(number)) : Math.abs(number);
  },
  d: orDefault,
  default: orDefault,
  e: escape,
  escape,
  float: (value, args, { budget }) => {
    const [fallback = new Float(0)] = bind('float', args, ['default']);
    if (value instanceof Undefined) throw value.fault();
    const text = readChars(value, budget);
    const number = text === undefined ? numberOf(value) : parseFloatText(text);
    return number === undefined ? fallback : new Float(number);
  },
  int: (value, args, { budget }) => {
    const [fallback = 0, base = 10] = bind('int', args, ['default', 'base']);
    if (value instanceof Undefined) throw value.fault();
    const text = readChars(value, budget);
    const whole = text === undefined ? undefined : parseInteger(text, base);
    if (whole !== undefined) return integer(whole);
    const number = text === undefined ? numberOf(value) : parseFloatText(text);
    return number === undefined || !Number.isFinite(number) ? fallback : integer(Math.trunc(number));
  },
  round: (value, args) => {
    const [precision = 0, rounding = 'common'] = bind('round', args, ['precision', 'method']);
    const method = textOf(rounding);
    const [number, digits] = [numberOf(value), numberOf(precision)];
    if (number === undefined || digits === undefined) throw new TemplateFault(`round() takes numbers, not ${typeName(value)}`);
    const scale = 10 ** digits;
    if (method === 'ceil') return new Float(Math.ceil(number * scale) / scale);
    if (method === 'floor') return new Float(Math.floor(number * scale) / scale);
    if (method !== 'common') throw new TemplateFault('method must be common, ceil or floor');
    return value instanceof Float ? new Float(roundTo(number, digits)) : roundTo(number, digits);
  },
};

const FILTERS: ReadonlyMap<string, Filter> = new Map(
  [VALUE_FILTERS, TEXT_FILTERS, SEQUENCE_FILTERS, SELECTING_FILTERS].flatMap((filters) => Object.entries(filters)),
);

/** @throws TemplateFault where there is no such filter */
export function findFilter(name: string): Filter {
  const filter = FILTERS.get(name);
  if (filter === undefined) throw new TemplateFault(`No filter named '${name.slice(0, 64)}'`);
  return filter;
}

/** Longer texts are not parsed as numbers; Python has a limit as well. */
const MOST_DIGITS = 4096;

/** As Python's int() parses it; undefined where it does not. */
function parseInteger(text: string, base: Value): number | undefined {
  if (text.length > MOST_DIGITS) return undefined;
  const radix = numberOf(base) ?? 10;
  const digits = text.trim().replace(/(?<=[0-9a-z])_(?=[0-9a-z])/gi, '');
  const [, sign, prefix, body = ''] = /^([+-]?)(0[xob])?([0-9a-z]+)$/i.exec(digits) ?? [];
  const prefixes: Readonly<Record<number, string>> = { 16: '0x', 8: '0o', 2: '0b' };
  const isOfBase = prefix === undefined || prefixes[radix] === prefix.toLowerCase();
  const allowed = '0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, radix);
  if (body === '' || !isOfBase || ![...body.toLowerCase()].every((digit) => allowed.includes(digit))) return undefined;
  return Number.parseInt(body, radix) * (sign === '-' ? -1 : 1);
}

/** As Python's float() parses it; undefined where it does not. */
function parseFloatText(text: string): number | undefined {
  if (text.length > MOST_DIGITS) return undefined;
  const plain = text.trim().replace(/(?<=\d)_(?=\d)/g, '').toLowerCase();
  if (/^[+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?$/.test(plain)) return Number(plain);
  const [, sign, word] = /^([+-]?)(inf|infinity|nan)$/.exec(plain) ?? [];
  if (word === undefined) return undefined;
  return word === 'nan' ? Number.NaN : sign === '-' ? -Infinity : Infinity;
}
