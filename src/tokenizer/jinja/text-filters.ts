import { type TemplateBudget } from './budget.ts';
import { bind, expectInteger, expectText, optionalText } from './arguments.ts';
import { TemplateFault } from './errors.ts';
import { type Filter } from './filter.ts';
import { formatPercent } from './format-percent.ts';
import { print, toJson } from './printing.ts';
import { callTextMethod, capitalize } from './text-methods.ts';
import { replaceText, rsplit, splitLines } from './text-splitting.ts';
import { type Arguments, Dict, isList, isTrue, lengthOf, SafeText, textOf, Tuple, typeName, Undefined, type Value } from './values.ts';

/** A value as text, which stays marked as safe. */
function asText(value: Value, budget: TemplateBudget): string | SafeText {
  return value instanceof SafeText ? value : print(value, budget);
}

/** A filter that is a method of the value's text. */
const method =
  (name: string): Filter =>
  (value, args, { budget }) =>
    callTextMethod(asText(value, budget), name, args, budget);

export const TEXT_FILTERS: Readonly<Record<string, Filter>> = {
  capitalize: method('capitalize'),
  center: (value, args, { budget }) => {
    const [width = 80] = bind('center', args, ['width']);
    return callTextMethod(asText(value, budget), 'center', { positional: [width], named: new Map() }, budget);
  },
  format: (value, args, { budget }) => {
    if (args.positional.length > 0 && args.named.size > 0) {
      throw new TemplateFault("can't handle positional and keyword arguments at the same time");
    }
    const values = args.named.size > 0 ? new Dict(args.named, budget) : new Tuple(args.positional);
    return formatPercent(asText(value, budget), values, budget);
  },
  indent: (value, args, { budget }) => indent(value, args, budget),
  lower: method('lower'),
  replace: (value, args, { budget }) => {
    const [old = null, by = null, count = null] = bind('replace', args, ['old', 'new', 'count'], 2);
    const most = count === null ? -1 : expectInteger(count, 'the count of replace()');
    return replaceText(print(value, budget), print(old, budget), print(by, budget), most, budget);
  },
  safe: (value, _, { budget }) => (value instanceof SafeText ? value : new SafeText(print(value, budget))),
  string: (value, _, { budget }) => asText(value, budget),
  title: (value, _, { budget }) => {
    const text = print(value, budget);
    budget.spendChars(text.length);
    return text.replace(/[^-\s({[<]+/g, (word) => capitalize(word));
  },
  tojson: (value, args, { budget }) => {
    const [ensureAscii = false, indentation = null, separators = null, sortKeys = false] = bind('tojson', args, [
      'ensure_ascii', 'indent', 'separators', 'sort_keys',
    ]);
    const indent = indentation === null ? undefined : indentText(indentation, budget);
    return toJson(
      value,
      {
        ensureAscii: isTrue(ensureAscii),
        indent,
        separators: separators === null ? [indent === undefined ? ', ' : ',', ': '] : readSeparators(separators),
        sortKeys: isTrue(sortKeys),
      },
      budget,
    );
  },
  trim: (value, args, { budget }) => {
    const characters = optionalText(bind('trim', args, ['chars'])[0], 'the argument of trim()');
    const positional = characters === undefined ? [] : [characters];
    return callTextMethod(asText(value, budget), 'strip', { positional, named: new Map() }, budget);
  },
  truncate: (value, args, { budget }) => truncate(value, args, budget),
  upper: method('upper'),
  wordcount: (value, _, { budget }) => {
    const text = print(value, budget);
    budget.spendChars(text.length);
    budget.spendElements(text.length);
    return [...text.matchAll(/[\p{L}\p{N}_]+/gu)].length;
  },
};

function indent(value: Value, args: Arguments, budget: TemplateBudget): Value {
  const [width = 4, first = false, blank = false] = bind('indent', args, ['width', 'first', 'blank']);
  if (value instanceof Undefined) throw value.fault();
  const text = expectText(value, 'what indent() indents');
  const indentation = indentText(width, budget);
  const lines = splitLines(`${text}\n`, false, budget);
  budget.spendChars(text.length + lines.length * indentation.length);
  const isIndented = (line: string, i: number): boolean => (i === 0 ? isTrue(first) : isTrue(blank) || line !== '');
  const whole = lines.map((line, i) => (isIndented(line, i) ? indentation + line : line)).join('\n');
  return value instanceof SafeText ? new SafeText(whole) : whole;
}

/** So many spaces, or a text as it is; what it takes is paid. */
function indentText(width: Value, budget: TemplateBudget): string {
  const text = textOf(width);
  if (text !== undefined) return text;
  const spaces = Math.max(0, expectInteger(width, 'an indent'));
  budget.spendChars(spaces);
  return ' '.repeat(spaces);
}

function readSeparators(value: Value): readonly [string, string] {
  const items = isList(value) ? value : value instanceof Tuple ? value.items : [];
  if (items.length !== 2) throw new TemplateFault(`separators are two texts, not ${typeName(value)}`);
  return [expectText(items[0] ?? null, 'a separator'), expectText(items[1] ?? null, 'a separator')];
}

function truncate(value: Value, args: Arguments, budget: TemplateBudget): Value {
  const [length = 255, killWords = false, end = '...', leeway = null] = bind('truncate', args, [
    'length', 'killwords', 'end', 'leeway',
  ]);
  const most = expectInteger(length, 'the length of truncate()');
  const tail = expectText(end, 'the end of truncate()');
  const slack = leeway === null ? 5 : expectInteger(leeway, 'the leeway of truncate()');
  const text = textOf(value);
  if (text === undefined && lengthOf(value) <= most + slack) return value;
  if (text === undefined) throw new TemplateFault(`truncate() takes texts, not ${typeName(value)}`);
  budget.spendChars(text.length + tail.length);
  const points = [...text];
  if (points.length <= most + slack) return text;
  const cut = points.slice(0, Math.max(0, most - [...tail].length)).join('');
  return (isTrue(killWords) ? cut : (rsplit(cut, ' ', 1, budget)[0] ?? '')) + tail;
}
