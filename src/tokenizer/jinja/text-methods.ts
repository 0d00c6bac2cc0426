import { type TemplateBudget } from './budget.ts';
import { bind, expectInteger, expectText, optionalInteger, optionalText } from './arguments.ts';
import { spendSearch } from './comparing.ts';
import { TemplateFault } from './errors.ts';
import { formatBraces } from './format-braces.ts';
import { countIn, replaceText, rsplit, type Side, split, splitLines, strip } from './text-splitting.ts';
import {
  type Arguments, Callable, countCodePoints, codePoints, isList, iterate, SafeText, textOf, Tuple, typeName, type Value,
} from './values.ts';

type Method = (text: string, args: Arguments, budget: TemplateBudget) => Value;

/** Python's methods of str, without those that make bytes. */
const METHODS: Readonly<Record<string, Method>> = {
  capitalize: (text) => capitalize(text),
  casefold: (text) => text.toLowerCase(),
  center: (text, args, budget) => pad('center', text, args, budget),
  count: (text, args, budget) => {
    const { part, inside } = searched('count', text, args);
    return countIn(inside, part, budget);
  },
  endswith: (text, args) => hasAffix('endswith', text, args),
  find: (text, args, budget) => find('find', text, args, budget),
  format: (text, args, budget) => formatBraces(text, args, budget),
  index: (text, args, budget) => found(find('index', text, args, budget)),
  isalnum: (text) => /^[\p{L}\p{N}]+$/u.test(text),
  isalpha: (text) => /^\p{L}+$/u.test(text),
  isascii: (text) => /^[\0-\x7f]*$/.test(text),
  isdecimal: (text) => /^\p{Nd}+$/u.test(text),
  isdigit: (text) => /^[\p{Nd}\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089]+$/u.test(text),
  islower: (text) => text === text.toLowerCase() && text !== text.toUpperCase(),
  isnumeric: (text) => /^\p{N}+$/u.test(text),
  isspace: (text) => text !== '' && strip(text) === '',
  istitle: (text) => /\p{L}/u.test(text) && text === title(text),
  isupper: (text) => text === text.toUpperCase() && text !== text.toLowerCase(),
  join: (text, args, budget) => {
    const [items = null] = bind('join', args, ['iterable'], 1);
    return joinTexts(iterate(items, budget).map((item) => expectText(item, 'an item of join()')), text, budget);
  },
  ljust: (text, args, budget) => pad('ljust', text, args, budget),
  lower: (text) => text.toLowerCase(),
  lstrip: (text, args) => stripMethod('lstrip', text, args, 'left'),
  partition: (text, args, budget) => partition('partition', text, args, budget),
  removeprefix: (text, args) => {
    const prefix = expectText(bind('removeprefix', args, ['prefix'], 1)[0] ?? null, 'a prefix');
    return text.startsWith(prefix) ? text.slice(prefix.length) : text;
  },
  removesuffix: (text, args) => {
    const suffix = expectText(bind('removesuffix', args, ['suffix'], 1)[0] ?? null, 'a suffix');
    return suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
  },
  replace: (text, args, budget) => {
    const [old = null, by = null, count = -1] = bind('replace', args, ['old', 'new', 'count'], 2);
    const most = expectInteger(count, 'the count of replace()');
    return replaceText(text, expectText(old, 'what replace() replaces'), expectText(by, 'what replace() puts'), most, budget);
  },
  rfind: (text, args, budget) => find('rfind', text, args, budget),
  rindex: (text, args, budget) => found(find('rindex', text, args, budget)),
  rjust: (text, args, budget) => pad('rjust', text, args, budget),
  rpartition: (text, args, budget) => partition('rpartition', text, args, budget),
  rsplit: (text, args, budget) => rsplit(text, ...splitArguments('rsplit', args), budget),
  rstrip: (text, args) => stripMethod('rstrip', text, args, 'right'),
  split: (text, args, budget) => split(text, ...splitArguments('split', args), budget),
  splitlines: (text, args, budget) => {
    const [keepends = false] = bind('splitlines', args, ['keepends']);
    return splitLines(text, keepends === true, budget);
  },
  startswith: (text, args) => hasAffix('startswith', text, args),
  strip: (text, args) => stripMethod('strip', text, args, 'both'),
  swapcase: (text, _, budget) => {
    budget.spendElements(text.length);
    return [...text].map((c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())).join('');
  },
  title: (text) => title(text),
  upper: (text) => text.toUpperCase(),
  zfill: (text, args, budget) => {
    const [width = 0] = bind('zfill', args, ['width'], 1);
    const missing = missingTo(text, expectInteger(width, 'the width of zfill()'), budget);
    const signed = /^[+-]/.exec(text)?.[0] ?? '';
    return signed + '0'.repeat(missing) + text.slice(signed.length);
  },
};

/** A method of a text, bound to it; undefined where there is none of that name. */
export function textMethod(subject: string | SafeText, name: string, budget: TemplateBudget): Callable | undefined {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  if (method === undefined) return undefined;
  const text = textOf(subject) ?? '';
  return new Callable(name, (args) => {
    // Texts that are looked at once; what a method does beyond that it pays itself.
    const chars = args.positional.reduce<number>((sum, arg) => sum + (textOf(arg)?.length ?? 0), text.length);
    budget.spendChars(chars);
    const value = method(text, args, budget);
    return subject instanceof SafeText ? markSafe(value) : value;
  });
}

/** What is made of a safe text is safe. */
function markSafe(value: Value): Value {
  if (typeof value === 'string') return new SafeText(value);
  if (isList(value)) return value.map(markSafe);
  return value instanceof Tuple ? new Tuple(value.items.map(markSafe)) : value;
}

/** The same as a function, for filters. */
export function callTextMethod(subject: string | SafeText, name: string, args: Arguments, budget: TemplateBudget): Value {
  const method = textMethod(subject, name, budget);
  if (method === undefined) throw new TemplateFault(`str has no method '${name}'`);
  return method.call(args);
}

export function capitalize(text: string): string {
  const first = String.fromCodePoint(...[text.codePointAt(0) ?? []].flat());
  return first.toUpperCase() + text.slice(first.length).toLowerCase();
}

function title(text: string): string {
  return text.replace(/\p{L}+/gu, (word) => capitalize(word));
}

export function joinTexts(texts: readonly string[], separator: string, budget: TemplateBudget): string {
  budget.spendElements(texts.length);
  budget.spendChars(texts.reduce((sum, text) => sum + text.length, separator.length * texts.length));
  return texts.join(separator);
}

function stripMethod(name: string, text: string, args: Arguments, side: Side): string {
  return strip(text, optionalText(bind(name, args, ['chars'])[0], `the argument of ${name}()`), side);
}

function splitArguments(name: string, args: Arguments): [separator: string | undefined, most: number] {
  const [separator, most] = bind(name, args, ['sep', 'maxsplit']);
  return [optionalText(separator, `the separator of ${name}()`), expectInteger(most ?? -1, `maxsplit of ${name}()`)];
}

function partition(name: 'partition' | 'rpartition', text: string, args: Arguments, budget: TemplateBudget): Tuple {
  const separator = expectText(bind(name, args, ['sep'], 1)[0] ?? null, `the separator of ${name}()`);
  if (separator === '') throw new TemplateFault('empty separator');
  spendSearch(text, separator, budget);
  const place = name === 'partition' ? text.indexOf(separator) : text.lastIndexOf(separator);
  if (place < 0) return new Tuple(name === 'partition' ? [text, '', ''] : ['', '', text]);
  return new Tuple([text.slice(0, place), separator, text.slice(place + separator.length)]);
}

/** What is sought, in which part of the text, which begins at which code point. */
function searched(name: string, text: string, args: Arguments): { part: string; inside: string; start: number } {
  const [part = null, start, stop] = bind(name, args, ['sub', 'start', 'end'], 1);
  const points = codePoints(text);
  const [from, to] = [optionalInteger(start, 'a start') ?? 0, optionalInteger(stop, 'an end') ?? points.length];
  const inside = points.slice(from, to);
  const first = Math.min(from < 0 ? Math.max(0, from + points.length) : from, points.length);
  return { part: expectText(part, `the argument of ${name}()`), inside: typeof inside === 'string' ? inside : inside.join(''), start: first };
}

function find(name: 'find' | 'rfind' | 'index' | 'rindex', text: string, args: Arguments, budget: TemplateBudget): number {
  const { part, inside, start } = searched(name, text, args);
  spendSearch(inside, part, budget);
  const place = name.startsWith('r') ? inside.lastIndexOf(part) : inside.indexOf(part);
  return place < 0 ? -1 : start + countCodePoints(inside.slice(0, place));
}

function found(place: number): number {
  if (place < 0) throw new TemplateFault('substring not found');
  return place;
}

function hasAffix(name: 'startswith' | 'endswith', text: string, args: Arguments): boolean {
  const { affixes, inside } = affixArguments(name, text, args);
  return affixes.some((affix) => (name === 'startswith' ? inside.startsWith(affix) : inside.endsWith(affix)));
}

function affixArguments(name: string, text: string, args: Arguments): { affixes: readonly string[]; inside: string } {
  const [affix = null, ...bounds] = bind(name, args, ['prefix', 'start', 'end'], 1);
  if (isList(affix)) throw new TemplateFault(`${name} first arg must be str or a tuple of str, not ${typeName(affix)}`);
  const affixes = affix instanceof Tuple ? affix.items : [affix];
  const [start, stop] = bounds.map((bound) => optionalInteger(bound, 'a bound'));
  const points = start === undefined && stop === undefined ? text : codePoints(text);
  const inside = points.slice(start ?? 0, stop ?? points.length);
  return {
    affixes: affixes.map((item) => expectText(item, `${name} first arg`)),
    inside: typeof inside === 'string' ? inside : inside.join(''),
  };
}

/** How many characters a text lacks to a width, which are paid. */
function missingTo(text: string, width: number, budget: TemplateBudget): number {
  const missing = Math.max(0, width - countCodePoints(text));
  budget.spendChars(missing);
  return missing;
}

function pad(name: 'center' | 'ljust' | 'rjust', text: string, args: Arguments, budget: TemplateBudget): string {
  const [width = 0, fill = ' '] = bind(name, args, ['width', 'fillchar'], 1);
  const character = expectText(fill, 'a fill character');
  if (countCodePoints(character) !== 1) throw new TemplateFault('The fill character must be exactly one character long');
  const wanted = expectInteger(width, `the width of ${name}()`);
  const missing = missingTo(text, wanted, budget);
  const left = name === 'ljust' ? 0 : name === 'rjust' ? missing : Math.floor(missing / 2) + (missing & wanted & 1);
  return character.repeat(left) + text + character.repeat(missing - left);
}
