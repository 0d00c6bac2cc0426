import { type TemplateBudget } from './budget.ts';
import { TemplateFault } from './errors.ts';
import { type FormatSpec, formatValue } from './format-spec.ts';
import { escapeHtml } from './html.ts';
import { print, represent } from './printing.ts';
import { numberText } from './provenance.ts';
import { type AnyText, charsOf, isOwn, isSafeText, keepSafe, ownText, TextBuilder } from './text.ts';
import { Dict, Float, integerOf, isList, isText, numberOf, Range, Tuple, typeName, Undefined, type Value } from './values.ts';

/** `%`, a key, flags, width, precision and type. */
const DIRECTIVE = /%(?:\(([^)%]*)\))?([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?([^])/gu;

/** Python's `text % values`. Where the format itself is data, all of the result is data. */
export function formatPercent(subject: AnyText, values: Value, budget: TemplateBudget): AnyText {
  const template = charsOf(subject);
  budget.spendChars(template.length);
  const escape = isSafeText(subject);
  const source = new ValueSource(values);
  const text = new TextBuilder(budget);
  let end = 0;
  for (const match of template.matchAll(DIRECTIVE)) {
    text.add(ownText(template.slice(end, match.index)));
    end = match.index + match[0].length;
    text.add(match[5] === '%' ? ownText('%') : formatDirective(match, source, escape, budget));
  }
  if (template.indexOf('%', end) >= 0) throw new TemplateFault('incomplete format');
  source.finish();
  text.add(ownText(template.slice(end)));
  const all = text.build();
  return keepSafe(subject, isOwn(subject) ? all : charsOf(all));
}

/** Supplies the values of a format: the items of a tuple in order, else the single value. */
class ValueSource {
  readonly #values: Value;
  #next = 0;
  #isKeyed = false;

  constructor(values: Value) {
    this.#values = values;
  }

  get #items(): readonly Value[] {
    return this.#values instanceof Tuple ? this.#values.items : [this.#values];
  }

  next(): Value {
    const value = this.#items[this.#next++];
    if (value === undefined) throw new TemplateFault('not enough arguments for format string');
    return value;
  }

  at(key: string, budget: TemplateBudget): Value {
    if (!(this.#values instanceof Dict)) throw new TemplateFault('format requires a mapping');
    const value = this.#values.get(key, budget);
    if (value === undefined) throw new TemplateFault(`there is no key '${key}' to format`);
    this.#isKeyed = true;
    return value;
  }

  finish(): void {
    // Python allows unused values that can be indexed, except tuples and texts.
    const values = this.#values;
    const isIndexed = values instanceof Dict || isList(values) || values instanceof Range || values instanceof Undefined;
    if (this.#isKeyed || isIndexed || this.#next >= this.#items.length) return;
    throw new TemplateFault('not all arguments converted during string formatting');
  }
}

function formatDirective(match: RegExpExecArray, source: ValueSource, escape: boolean, budget: TemplateBudget): AnyText {
  const [, key, flags = '', width, precision, type = ''] = match;
  const read = (digits: string): number => {
    if (digits !== '*') return Number(digits);
    const number = integerOf(source.next());
    if (number === undefined) throw new TemplateFault('* wants int');
    return number;
  };
  const wide = width === undefined ? 0 : read(width);
  const hasPoint = match[0].includes('.') && /\.(?:\*|\d+)?[hlL]?[^]$/u.test(match[0]);
  const digits = precision === undefined ? (hasPoint ? 0 : undefined) : read(precision);
  const value = key === undefined ? source.next() : source.at(key, budget);
  const leftAligned = flags.includes('-') || wide < 0;
  const spec = {
    fill: flags.includes('0') && !leftAligned ? '0' : ' ',
    align: leftAligned ? '<' : '>',
    sign: flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '',
    alternate: flags.includes('#'),
    width: Math.abs(wide),
    grouping: '',
    precision: digits,
    type,
  } as const;
  return 'sra'.includes(type) ? formatText(value, spec, escape, budget) : formatNumber(value, spec, budget);
}

function formatText(value: Value, spec: FormatSpec, escape: boolean, budget: TemplateBudget): AnyText {
  const text = spec.type === 's' ? print(value, budget) : represent(value, budget);
  const shown = escape && !isSafeText(value) ? escapeHtml(text, budget) : text;
  return formatValue(shown, { ...spec, fill: ' ', type: 's' }, budget);
}

function formatNumber(value: Value, spec: FormatSpec, budget: TemplateBudget): AnyText {
  const type = spec.type === 'i' || spec.type === 'u' ? 'd' : spec.type;
  const number = numberOf(value);
  if (type === 'c') return formatCharacter(value, spec, budget);
  if (!/^[dxXoeEfFgG]$/.test(type)) throw new TemplateFault(`unsupported format character '${type}'`);
  if (number === undefined) throw new TemplateFault(`%${type} format: a number is required, not ${typeName(value)}`);
  const isWhole = 'dxXo'.includes(type);
  if (isWhole && type !== 'd' && value instanceof Float) throw new TemplateFault(`%${type} format: an integer is required, not float`);
  if (isWhole && !Number.isFinite(number)) throw new TemplateFault('cannot convert a float that is not finite to integer');
  if (isWhole && spec.precision !== undefined) throw new TemplateFault(`%${type} format: a precision is not supported`);
  const written = isWhole ? Math.trunc(number) : new Float(number);
  return formatValue(written, { ...spec, type, align: spec.fill === '0' ? '=' : spec.align }, budget);
}

function formatCharacter(value: Value, spec: FormatSpec, budget: TemplateBudget): AnyText {
  const code = integerOf(value);
  const character = code === undefined ? value : numberText(String.fromCodePoint(code), budget);
  if (!isText(character) || [...charsOf(character)].length !== 1) throw new TemplateFault('%c requires int or char');
  return formatValue(character, { ...spec, fill: ' ', type: 's', precision: undefined }, budget);
}
