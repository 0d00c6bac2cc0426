import { type TemplateBudget } from './budget.ts';
import { bind, expectInteger, expectText } from './arguments.ts';
import { TemplateFault } from './errors.ts';
import { type Filter } from './filter.ts';
import { formatPercent } from './format-percent.ts';
import { print, toJson } from './printing.ts';
import { type AnyText, charsOf, concatTexts, keepSafe, mapText, markSafe, ownText, sliceText } from './text.ts';
import { callTextMethod, capitalize } from './text-methods.ts';
import { replaceText, rsplit, splitLines } from './text-splitting.ts';
import { type Arguments, Dict, isList, isText, isTrue, lengthOf, Tuple, typeName, Undefined, type Value } from './values.ts';

/** A filter that is a method of the value's text. */
const method =
  (name: string): Filter =>
  (value, args, { budget }) =>
    callTextMethod(print(value, budget), name, args, budget);

export const TEXT_FILTERS: Readonly<Record<string, Filter>> = {
  capitalize: method('capitalize'),
  center: (value, args, { budget }) => {
    const [width = 80] = bind('center', args, ['width']);
    return callTextMethod(print(value, budget), 'center', { positional: [width], named: new Map() }, budget);
  },
  format: (value, args, { budget }) => {
    if (args.positional.length > 0 && args.named.size > 0) {
      throw new TemplateFault("can't handle positional and keyword arguments at the same time");
    }
    const values = args.named.size > 0 ? new Dict(args.named, budget) : new Tuple(args.positional);
    return formatPercent(print(value, budget), values, budget);
  },
  indent: (value, args, { budget }) => indent(value, args, budget),
  lower: method('lower'),
  replace: (value, args, { budget }) => {
    const [old = null, by = null, count = null] = bind('replace', args, ['old', 'new', 'count'], 2);
    const most = count === null ? -1 : expectInteger(count, 'the count of replace()');
    const replaced = replaceText(print(value, budget), charsOf(print(old, budget)), print(by, budget), most, budget);
    return withoutMark(replaced);
  },
  safe: (value, _, { budget }) => markSafe(print(value, budget)),
  string: (value, _, { budget }) => print(value, budget),
  title: (value, _, { budget }) => {
    const text = print(value, budget);
    budget.spendChars(charsOf(text).length);
    return mapText(text, (chars) => chars.replace(/[^-\s({[<]+/g, (word) => capitalize(word)));
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
        separators: separators === null ? [ownText(indent === undefined ? ', ' : ','), ownText(': ')] : readSeparators(separators),
        sortKeys: isTrue(sortKeys),
      },
      budget,
    );
  },
  trim: (value, args, { budget }) => {
    const [characters = null] = bind('trim', args, ['chars']);
    const positional = characters === null ? [] : [expectText(characters, 'the argument of trim()')];
    return callTextMethod(print(value, budget), 'strip', { positional, named: new Map() }, budget);
  },
  truncate: (value, args, { budget }) => truncate(value, args, budget),
  upper: method('upper'),
  wordcount: (value, _, { budget }) => {
    const text = charsOf(print(value, budget));
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
  const lines = splitLines(concatTexts([text, ownText('\n')], budget), false, budget);
  budget.spendChars(charsOf(text).length + lines.length * charsOf(indentation).length);
  const isIndented = (line: AnyText, i: number): boolean => (i === 0 ? isTrue(first) : isTrue(blank) || charsOf(line) !== '');
  const whole = lines.flatMap((line, i) => [i === 0 ? '' : ownText('\n'), isIndented(line, i) ? indentation : '', line]);
  return keepSafe(text, concatTexts(whole, budget));
}

/** That many spaces, or a text as it is. Its cost is spent. */
function indentText(width: Value, budget: TemplateBudget): AnyText {
  if (isText(width)) return width;
  const spaces = Math.max(0, expectInteger(width, 'an indent'));
  budget.spendChars(spaces);
  return ownText(' '.repeat(spaces));
}

function readSeparators(value: Value): readonly [AnyText, AnyText] {
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
  if (!isText(value) && lengthOf(value) <= most + slack) return value;
  if (!isText(value)) throw new TemplateFault(`truncate() takes texts, not ${typeName(value)}`);
  const [chars, tailChars] = [charsOf(value), charsOf(tail)];
  budget.spendChars(chars.length + tailChars.length);
  const points = [...chars];
  if (points.length <= most + slack) return withoutMark(value);
  const kept = points.slice(0, Math.max(0, most - [...tailChars].length)).join('').length;
  const cut = sliceText(value, 0, kept);
  return concatTexts([isTrue(killWords) ? cut : (rsplit(cut, ' ', 1, budget)[0] ?? ''), tail], budget);
}

/** A text without the mark of safe text. */
function withoutMark(text: AnyText): AnyText {
  return sliceText(text, 0);
}
