import { type TemplateBudget } from './budget.ts';
import { TemplateFault } from './errors.ts';
import { groupDigits, writeFixed, writeFloat, writeGeneral, writeScientific } from './numbers.ts';
import { print } from './printing.ts';
import { numberText } from './provenance.ts';
import { type AnyText, charsOf, concatTexts, ownText, sliceText } from './text.ts';
import { countCodePoints, integerOf, numberOf, typeName, type Value } from './values.ts';

/** Python's format specification, of which `%` uses a part. */
export interface FormatSpec {
  readonly fill: string;
  /** `=`: between sign and digits. */
  readonly align: '<' | '>' | '^' | '=' | undefined;
  readonly sign: '' | '+' | ' ';
  /** `0x` and the like before the digits. */
  readonly alternate: boolean;
  readonly width: number;
  readonly grouping: '' | ',' | '_';
  readonly precision: number | undefined;
  /** One letter, or empty. */
  readonly type: string;
}

const SPEC = /^(?:([^])?([<>=^]))?([+\- ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/u;

/** Parses the text after the colon of a field. */
export function parseSpec(text: string): FormatSpec {
  const match = SPEC.exec(text);
  if (match === null) throw new TemplateFault(`Invalid format specifier '${text.slice(0, 64)}'`);
  const [, fill, align, sign, alternate, zero, width, grouping, precision, type = ''] = match;
  return {
    fill: fill ?? (zero === undefined ? ' ' : '0'),
    align: (align ?? (zero === undefined ? undefined : '=')) as FormatSpec['align'],
    sign: sign === '+' || sign === ' ' ? sign : '',
    alternate: alternate !== undefined,
    width: Number(width ?? 0),
    grouping: (grouping ?? '') as FormatSpec['grouping'],
    precision: precision === undefined ? undefined : Number(precision),
    type,
  };
}

/** A value written as specified. The cost of its width is spent before it is made. */
export function formatValue(value: Value, spec: FormatSpec, budget: TemplateBudget): AnyText {
  budget.spend(1);
  budget.spendChars(spec.width);
  const number = numberOf(value);
  const isNumber = number !== undefined && spec.type !== 's' && (typeof value !== 'boolean' || spec.type !== '');
  return isNumber ? formatNumber(value, number, spec, budget) : formatText(value, spec, budget);
}

function formatText(value: Value, spec: FormatSpec, budget: TemplateBudget): AnyText {
  if ((spec.type !== '' && spec.type !== 's') || spec.align === '=') {
    throw new TemplateFault(`Unknown format code '${spec.type || '='}' for object of type '${typeName(value)}'`);
  }
  const text = print(value, budget);
  const chars = charsOf(text);
  budget.spendChars(chars.length);
  const shown = spec.precision === undefined ? chars : [...chars].slice(0, spec.precision).join('');
  const [before, behind] = padding(shown, '', spec, '<');
  return concatTexts([ownText(before), sliceText(text, 0, shown.length), ownText(behind)], budget);
}

function formatNumber(value: Value, number: number, spec: FormatSpec, budget: TemplateBudget): AnyText {
  const isNegative = number < 0 || Object.is(number, -0);
  const digits = digitsOf(value, Math.abs(number), spec);
  const [before, behind] = padding(digits, isNegative ? '-' : spec.sign, spec, '>');
  return numberText(before + digits + behind, budget);
}

const RADIXES: Readonly<Record<string, readonly [radix: number, prefix: string]>> = {
  b: [2, '0b'], o: [8, '0o'], x: [16, '0x'], X: [16, '0X'],
};

function digitsOf(value: Value, size: number, { type, precision, grouping, alternate }: FormatSpec): string {
  const radix = RADIXES[type];
  if (radix !== undefined || type === 'd' || type === 'c' || type === 'n' || (type === '' && integerOf(value) !== undefined)) {
    if (integerOf(value) === undefined && type !== 'n') {
      throw new TemplateFault(`Unknown format code '${type}' for object of type 'float'`);
    }
    if (type === 'c') return String.fromCodePoint(size);
    const digits = size.toString(radix?.[0] ?? 10);
    const grouped = radix === undefined ? group(digits, grouping) : digits;
    return (alternate ? (radix?.[1] ?? '') : '') + (type === 'X' ? grouped.toUpperCase() : grouped);
  }
  const written = writeReal(size, type, precision);
  const [, whole = '', rest = ''] = /^(\d*)(.*)$/.exec(written) ?? [];
  const digits = group(whole, grouping) + rest;
  return /[A-Z]/.test(type) ? digits.toUpperCase() : digits;
}

function group(digits: string, separator: FormatSpec['grouping']): string {
  return separator === '' ? digits : groupDigits(digits, separator);
}

function writeReal(size: number, type: string, precision: number | undefined): string {
  switch (type.toLowerCase()) {
    case 'f':
      return writeFixed(size, precision ?? 6);
    case '%':
      return `${writeFixed(size * 100, precision ?? 6)}%`;
    case 'e':
      return writeScientific(size, precision ?? 6);
    case 'g':
      return writeGeneral(size, precision ?? 6);
    case '': {
      if (precision === undefined) return writeFloat(size);
      const general = writeGeneral(size, precision);
      return /[.en]/.test(general) ? general : `${general}.0`;
    }
    default:
      throw new TemplateFault(`Unknown format code '${type}' for object of type 'float'`);
  }
}

/** The text before and after the body. */
function padding(body: string, sign: string, spec: FormatSpec, usual: '<' | '>'): readonly [before: string, behind: string] {
  const missing = Math.max(0, spec.width - countCodePoints(body) - sign.length);
  const where = spec.align ?? usual;
  if (where === '=') return [sign + spec.fill.repeat(missing), ''];
  const left = where === '<' ? 0 : where === '>' ? missing : Math.floor(missing / 2);
  return [spec.fill.repeat(left) + sign, spec.fill.repeat(missing - left)];
}
