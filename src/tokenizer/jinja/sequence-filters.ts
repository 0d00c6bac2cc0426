import { type TemplateBudget } from './budget.ts';
import { bind, expectInteger } from './arguments.ts';
import { compare, equals } from './comparing.ts';
import { TemplateFault } from './errors.ts';
import { type Filter } from './filter.ts';
import { itemOf } from './access.ts';
import { operate } from './operators.ts';
import { print } from './printing.ts';
import { concatTexts, keepSafe } from './text.ts';
import { joinTexts } from './text-splitting.ts';
import {
  Dict, Group, hashKey, isText, isTrue, iterate, lengthOf, orElse, Series, textOf, Tuple, typeName, Undefined, type Value,
} from './values.ts';

const generator = (items: readonly Value[]): Series => new Series('generator', items);

const length: Filter = (value, _, { budget }) => {
  budget.spendChars(textOf(value)?.length ?? 0);
  return lengthOf(value);
};

export const SEQUENCE_FILTERS: Readonly<Record<string, Filter>> = {
  batch: (value, args, { budget }) => {
    const [count = 0, fill = null] = bind('batch', args, ['linecount', 'fill_with'], 1);
    const [items, size] = [iterate(value, budget), Math.max(1, expectInteger(count, 'the size of batch()'))];
    budget.spendElements(items.length);
    const batches = Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
    return generator(batches.map((batch) => filled(batch, fill === null ? batch.length : size, fill, budget)));
  },
  count: length,
  dictsort: (value, args, { budget }) => {
    const [caseSensitive = false, sortBy = 'key', reverse = false] = bind('dictsort', args, ['case_sensitive', 'by', 'reverse']);
    const by = textOf(sortBy);
    if (!(value instanceof Dict)) throw new TemplateFault(`'${typeName(value)}' object has no attribute 'items'`);
    if (by !== 'key' && by !== 'value') throw new TemplateFault("You can only sort by either 'key' or 'value'");
    const pairs = value.entries().map((entry) => new Tuple(entry));
    const keyOf = (pair: Value): Value => (pair instanceof Tuple ? pair.items[by === 'key' ? 0 : 1] : undefined) ?? null;
    return sorted(pairs, (pair) => ignoringCase(keyOf(pair), isTrue(caseSensitive), budget), isTrue(reverse), budget);
  },
  first: (value, _, { budget }) => {
    const items = value instanceof Series ? value.take(1) : iterate(value, budget);
    return orElse(items[0], () => new Undefined('No first item, sequence was empty.'));
  },
  groupby: (value, args, { budget }) => {
    const [attribute = null, fallback, caseSensitive = false] = bind('groupby', args, ['attribute', 'default', 'case_sensitive'], 1);
    const get = attributeGetter(attribute, fallback, budget);
    const keyOf = (item: Value): Value => ignoringCase(get(item), isTrue(caseSensitive), budget);
    const groups: { key: Value; items: Value[] }[] = [];
    for (const item of sorted(iterate(value, budget), keyOf, false, budget)) {
      const [group, key] = [groups.at(-1), keyOf(item)];
      if (group !== undefined && equals(group.key, key, budget)) group.items.push(item);
      else groups.push({ key, items: [item] });
    }
    return groups.map(({ items }) => new Group(get(items[0] ?? null), items));
  },
  items: (value, _, { budget }) => {
    if (value instanceof Undefined) return generator([]);
    if (!(value instanceof Dict)) throw new TemplateFault('Can only get item pairs from a mapping.');
    budget.spendElements(value.size);
    return generator(value.entries().map((entry) => new Tuple(entry)));
  },
  join: (value, args, { budget }) => {
    const [separator = '', attribute = null] = bind('join', args, ['d', 'attribute']);
    const items = iterate(value, budget);
    const get = attribute === null ? (item: Value): Value => item : attributeGetter(attribute, undefined, budget);
    return joinTexts(items.map((item) => print(get(item), budget)), print(separator, budget), budget);
  },
  last: (value, _, { budget }) => {
    if (value instanceof Series && value.kind === 'generator') throw new TemplateFault("'generator' object is not reversible");
    return orElse(iterate(value, budget).at(-1), () => new Undefined('No last item, sequence was empty.'));
  },
  length,
  list: (value, _, { budget }) => iterate(value, budget),
  max: (value, args, context) => extreme('max', value, args, context),
  min: (value, args, context) => extreme('min', value, args, context),
  reverse: (value, _, { budget }) => {
    const items = iterate(value, budget).toReversed();
    budget.spendElements(items.length);
    if (isText(value)) return keepSafe(value, concatTexts(items.filter(isText), budget));
    return value instanceof Series && value.kind === 'generator' ? items : generator(items);
  },
  slice: (value, args, { budget }) => {
    const [slices = 1, fill = null] = bind('slice', args, ['slices', 'fill_with'], 1);
    const [items, count] = [iterate(value, budget), expectInteger(slices, 'the number of slices')];
    budget.spendElements(items.length + Math.max(0, count));
    if (count < 1) throw new TemplateFault('a list is cut into one slice or more');
    const [size, larger] = [Math.floor(items.length / count), items.length % count];
    const cuts = Array.from({ length: count }, (_, i) => {
      const start = i * size + Math.min(i, larger);
      const part = items.slice(start, start + size + Number(i < larger));
      return fill !== null && i >= larger && larger > 0 ? [...part, fill] : part;
    });
    return generator(cuts);
  },
  sort: (value, args, { budget }) => {
    const [reverse = false, caseSensitive = false, attribute = null] = bind('sort', args, ['reverse', 'case_sensitive', 'attribute']);
    const getters = (textOf(attribute)?.split(',') ?? [attribute]).map((path) =>
      path === null ? (item: Value): Value => item : attributeGetter(path, undefined, budget),
    );
    const key = (item: Value): Value[] => getters.map((get) => ignoringCase(get(item), isTrue(caseSensitive), budget));
    const keyOf = (item: Value): Value => (getters.length === 1 ? (key(item)[0] ?? null) : key(item));
    return sorted(iterate(value, budget), keyOf, isTrue(reverse), budget);
  },
  sum: (value, args, { budget }) => {
    const [attribute = null, start = 0] = bind('sum', args, ['attribute', 'start']);
    const get = attribute === null ? (item: Value): Value => item : attributeGetter(attribute, undefined, budget);
    return iterate(value, budget).reduce<Value>((sum, item) => {
      budget.spend(1);
      return operate('+', sum, get(item), budget);
    }, start);
  },
  unique: (value, args, { budget }) => {
    const [caseSensitive = false, attribute = null] = bind('unique', args, ['case_sensitive', 'attribute']);
    const get = attribute === null ? (item: Value): Value => item : attributeGetter(attribute, undefined, budget);
    const seen = new Set<string>();
    const fresh = iterate(value, budget).filter((item) => {
      const key = hashKey(ignoringCase(get(item), isTrue(caseSensitive), budget), budget);
      return !seen.has(key) && seen.add(key);
    });
    return generator(fresh);
  },
};

/** The value at a path such as `function.name` or `0`; `fallback` where it is undefined. */
export function attributeGetter(path: Value, fallback: Value | undefined, budget: TemplateBudget): (item: Value) => Value {
  const text = textOf(path);
  const keys: readonly Value[] = text === undefined ? [path] : text.split('.').map((key) => (/^\d+$/.test(key) ? Number(key) : key));
  return (item) =>
    keys.reduce<Value>((value, key) => {
      budget.spend(1);
      const inner = itemOf(value, key, budget);
      return inner instanceof Undefined && fallback !== undefined && fallback !== null ? fallback : inner;
    }, item);
}

function filled(batch: readonly Value[], size: number, fill: Value, budget: TemplateBudget): readonly Value[] {
  const missing = Math.max(0, size - batch.length);
  budget.spendElements(missing);
  return [...batch, ...Array.from({ length: missing }, () => fill)];
}

function ignoringCase(value: Value, caseSensitive: boolean, budget: TemplateBudget): Value {
  const text = textOf(value);
  if (caseSensitive || text === undefined) return value;
  budget.spendChars(text.length);
  return text.toLowerCase();
}

/** In Python's order. The sort is stable, reversed or not. */
function sorted(items: readonly Value[], keyOf: (item: Value) => Value, reverse: boolean, budget: TemplateBudget): readonly Value[] {
  budget.spendElements(items.length);
  const keyed = items.map((item) => ({ item, key: keyOf(item) }));
  keyed.sort((a, b) => (reverse ? compare(b.key, a.key, '<', budget) : compare(a.key, b.key, '<', budget)));
  return keyed.map(({ item }) => item);
}

function extreme(name: 'min' | 'max', value: Value, args: Parameters<Filter>[1], { budget }: Parameters<Filter>[2]): Value {
  const [caseSensitive = false, attribute = null] = bind(name, args, ['case_sensitive', 'attribute']);
  const get = attribute === null ? (item: Value): Value => item : attributeGetter(attribute, undefined, budget);
  const items = iterate(value, budget);
  if (items.length === 0) return new Undefined('No aggregated item, sequence was empty.');
  const keyOf = (item: Value): Value => ignoringCase(get(item), isTrue(caseSensitive), budget);
  return items.reduce((best, item) => {
    const order = compare(keyOf(item), keyOf(best), name === 'min' ? '<' : '>', budget);
    return (name === 'min' ? order < 0 : order > 0) ? item : best;
  });
}
