import { type TemplateBudget } from './budget.ts';
import { bind, expectChars, expectInteger, expectText, optionalChars, optionalInteger } from './arguments.ts';
import { spendSearch } from './comparing.ts';
import { TemplateFault } from './errors.ts';
import { formatBraces } from './format-braces.ts';
import { madeOf, safely } from './provenance.ts';
import { type AnyText, charsOf, concatTexts, isSafeText, mapText, sliceText } from './text.ts';
import { countIn, joinTexts, replaceText, rsplit, type Side, split, splitLines, strip } from './text-splitting.ts';
import {
  type Arguments, Callable, countCodePoints, codePoints, isList, iterate, textOf, Tuple, typeName, type Value,
} from './values.ts';

type Method = (text: string, args: Arguments, budget: TemplateBudget) => Value;

/** Methods that examine characters. The text they make is data, unless all of its sources are the template's own. */
const CHARACTER_METHODS: Readonly<Record<string, Method>> = {
  capitalize: (text) => capitalize(text),
  casefold: (text) => text.toLowerCase(),
  count: (text, args, budget) => {
    const { part, inside } = searched('count', text, args);
    return countIn(inside, part, budget);
  },
  endswith: (text, args) => hasAffix('endswith', text, args),
  find: (text, args, budget) => find('find', text, args, budget),
  index: (text, args, budget) => found(find('index', text, args, budget)),
  isalnum: (text) => /^[\p{L}\p{N}]+$/u.test(text),
  isalpha: (text) => /^\p{L}+$/u.test(text),
  isascii: (text) => /^[\0-\x7f]*$/.test(text),
  isdecimal: (text) => /^\p{Nd}+$/u.test(text),
  isdigit: (text) => /^[\p{Nd}\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089]+$/u.test(text),
  islower: (text) => text === text.toLowerCase() && text !== text.toUpperCase(),
  isnumeric: (text) => /^\p{N}+$/u.test(text),
  isspace: (text) => text !== '' && charsOf(strip(text)) === '',
  istitle: (text) => /\p{L}/u.test(text) && text === title(text),
  isupper: (text) => text === text.toUpperCase() && text !== text.toLowerCase(),
  lower: (text) => text.toLowerCase(),
  rfind: (text, args, budget) => find('rfind', text, args, budget),
  rindex: (text, args, budget) => found(find('rindex', text, args, budget)),
  startswith: (text, args) => hasAffix('startswith', text, args),
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

/** Methods that split texts and join them. Parts keep their provenance: the template's own, or data. */
const PART_METHODS: Readonly<Record<string, (text: AnyText, args: Arguments, budget: TemplateBudget) => Value>> = {
  center: (text, args, budget) => pad('center', text, args, budget),
  format: (text, args, budget) => formatBraces(text, args, budget),
  join: (text, args, budget) => {
    const [items = null] = bind('join', args, ['iterable'], 1);
    return joinTexts(iterate(items, budget).map((item) => expectText(item, 'an item of join()')), text, budget);
  },
  ljust: (text, args, budget) => pad('ljust', text, args, budget),
  lstrip: (text, args) => stripMethod('lstrip', text, args, 'left'),
  partition: (text, args, budget) => partition('partition', text, args, budget),
  removeprefix: (text, args) => {
    const prefix = expectChars(bind('removeprefix', args, ['prefix'], 1)[0] ?? null, 'a prefix');
    return charsOf(text).startsWith(prefix) ? sliceText(text, prefix.length) : text;
  },
  removesuffix: (text, args) => {
    const suffix = expectChars(bind('removesuffix', args, ['suffix'], 1)[0] ?? null, 'a suffix');
    return charsOf(text).endsWith(suffix) ? sliceText(text, 0, charsOf(text).length - suffix.length) : text;
  },
  replace: (text, args, budget) => {
    const [old = null, by = null, count = -1] = bind('replace', args, ['old', 'new', 'count'], 2);
    const most = expectInteger(count, 'the count of replace()');
    return replaceText(text, expectChars(old, 'what replace() replaces'), expectText(by, 'what replace() puts'), most, budget);
  },
  rjust: (text, args, budget) => pad('rjust', text, args, budget),
  rpartition: (text, args, budget) => partition('rpartition', text, args, budget),
  rsplit: (text, args, budget) => rsplit(text, ...splitArguments('rsplit', args), budget),
  rstrip: (text, args) => stripMethod('rstrip', text, args, 'right'),
  split: (text, args, budget) => split(text, ...splitArguments('split', args), budget),
  splitlines: (text, args, budget) => {
    const [keepends = false] = bind('splitlines', args, ['keepends']);
    return splitLines(text, keepends === true, budget);
  },
  strip: (text, args) => stripMethod('strip', text, args, 'both'),
};

/** A method of a text, bound to it; undefined where there is none of that name. */
export function textMethod(subject: AnyText, name: string, budget: TemplateBudget): Callable | undefined {
  const run = methodOf(subject, name);
  if (run === undefined) return undefined;
  const { length } = charsOf(subject);
  return new Callable(name, (args) => {
    // Each argument is examined once; a method spends its further cost itself.
    const chars = args.positional.reduce<number>((sum, arg) => sum + (textOf(arg)?.length ?? 0), length);
    budget.spendChars(chars);
    const value = madeOf([subject, ...args.positional, ...args.named.values()], run(args, budget), budget);
    return isSafeText(subject) ? safely(value) : value;
  });
}

function methodOf(text: AnyText, name: string): ((args: Arguments, budget: TemplateBudget) => Value) | undefined {
  const ofCharacters = Object.hasOwn(CHARACTER_METHODS, name) ? CHARACTER_METHODS[name] : undefined;
  const ofParts = Object.hasOwn(PART_METHODS, name) ? PART_METHODS[name] : undefined;
  if (ofCharacters !== undefined) return (args, budget) => ofCharacters(charsOf(text), args, budget);
  return ofParts === undefined ? undefined : (args, budget) => ofParts(text, args, budget);
}

/** The same as a function, for filters. */
export function callTextMethod(subject: AnyText, name: string, args: Arguments, budget: TemplateBudget): Value {
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

function stripMethod(name: string, text: AnyText, args: Arguments, side: Side): AnyText {
  return strip(text, optionalChars(bind(name, args, ['chars'])[0], `the argument of ${name}()`), side);
}

function splitArguments(name: string, args: Arguments): [separator: string | undefined, most: number] {
  const [separator, most] = bind(name, args, ['sep', 'maxsplit']);
  return [optionalChars(separator, `the separator of ${name}()`), expectInteger(most ?? -1, `maxsplit of ${name}()`)];
}

function partition(name: 'partition' | 'rpartition', text: AnyText, args: Arguments, budget: TemplateBudget): Tuple {
  const separator = expectText(bind(name, args, ['sep'], 1)[0] ?? null, `the separator of ${name}()`);
  const [chars, sought] = [charsOf(text), charsOf(separator)];
  if (sought === '') throw new TemplateFault('empty separator');
  spendSearch(chars, sought, budget);
  const place = name === 'partition' ? chars.indexOf(sought) : chars.lastIndexOf(sought);
  if (place < 0) return new Tuple(name === 'partition' ? [text, '', ''] : ['', '', text]);
  return new Tuple([sliceText(text, 0, place), separator, sliceText(text, place + sought.length)]);
}

/** The pattern, the part of the text to search, and its first code point. */
function searched(name: string, text: string, args: Arguments): { part: string; inside: string; start: number } {
  const [part = null, start, stop] = bind(name, args, ['sub', 'start', 'end'], 1);
  const points = codePoints(text);
  const [from, to] = [optionalInteger(start, 'a start') ?? 0, optionalInteger(stop, 'an end') ?? points.length];
  const inside = points.slice(from, to);
  const first = Math.min(from < 0 ? Math.max(0, from + points.length) : from, points.length);
  return { part: expectChars(part, `the argument of ${name}()`), inside: typeof inside === 'string' ? inside : inside.join(''), start: first };
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
    affixes: affixes.map((item) => expectChars(item, `${name} first arg`)),
    inside: typeof inside === 'string' ? inside : inside.join(''),
  };
}

/** The number of characters that a text lacks to a width. Their cost is spent. */
function missingTo(text: string, width: number, budget: TemplateBudget): number {
  const missing = Math.max(0, width - countCodePoints(text));
  budget.spendChars(missing);
  return missing;
}

function pad(name: 'center' | 'ljust' | 'rjust', text: AnyText, args: Arguments, budget: TemplateBudget): AnyText {
  const [width = 0, fill = ' '] = bind(name, args, ['width', 'fillchar'], 1);
  const character = expectText(fill, 'a fill character');
  const fillWith = (count: number): AnyText => mapText(character, (chars) => chars.repeat(count));
  if (countCodePoints(charsOf(character)) !== 1) throw new TemplateFault('The fill character must be exactly one character long');
  const wanted = expectInteger(width, `the width of ${name}()`);
  const missing = missingTo(charsOf(text), wanted, budget);
  const left = name === 'ljust' ? 0 : name === 'rjust' ? missing : Math.floor(missing / 2) + (missing & wanted & 1);
  return concatTexts([fillWith(left), text, fillWith(missing - left)], budget);
}
