import { type TemplateBudget } from './budget.ts';
import { TemplateFault } from './errors.ts';
import { type AnyText, charactersOf, charsOf, Text } from './text.ts';

/**
 * A value of the template language, whose values are Python's: null is None, a number is an integer, an array a list.
 * All values except namespaces are immutable.
 */
export type Value =
  | null
  | boolean
  | number
  | AnyText
  | readonly Value[]
  | Float
  | Undefined
  | Tuple
  | Dict
  | Namespace
  | Series
  | Callable
  | Entity;

export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** The value of a name without a value. */
export class Undefined {
  /** For example `'tools' is undefined`. */
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }

  fault(): TemplateFault {
    return new TemplateFault(this.reason);
  }
}

export class Tuple {
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** The result of `range()`. */
export class Range extends Tuple {
  readonly bounds: readonly [start: number, stop: number, step: number];

  constructor(bounds: Range['bounds'], items: readonly number[]) {
    super(items);
    this.bounds = bounds;
  }
}

/** An element of `groupby`'s result: a pair whose members also have names. */
export class Group extends Tuple {
  readonly attributes: ReadonlyMap<string, Value>;

  constructor(grouper: Value, list: readonly Value[]) {
    super([grouper, list]);
    this.attributes = new Map<string, Value>([['grouper', grouper], ['list', list]]);
  }
}

/** A mapping, in insertion order. */
export class Dict {
  readonly #entries = new Map<string, readonly [Value, Value]>();

  constructor(entries: Iterable<readonly [Value, Value]>, budget: TemplateBudget) {
    for (const entry of entries) {
      const key = hashKey(entry[0], budget);
      this.#entries.set(key, [this.#entries.get(key)?.[0] ?? entry[0], entry[1]]);
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @returns undefined where there is no such key */
  get(key: Value, budget: TemplateBudget): Value | undefined {
    return this.#entries.get(hashKey(key, budget))?.[1];
  }

  keys(): readonly Value[] {
    return this.entries().map(([key]) => key);
  }

  values(): readonly Value[] {
    return this.entries().map(([, value]) => value);
  }

  entries(): readonly (readonly [Value, Value])[] {
    return [...this.#entries.values()];
  }
}

/** The only kind of value that a template may write to. */
export class Namespace {
  readonly attributes: Map<string, Value>;

  constructor(attributes: Iterable<readonly [string, Value]>) {
    this.attributes = new Map(attributes);
  }
}

/** An iterable without indices: a view of a mapping, or a generator, whose items come once. */
export class Series {
  readonly kind: 'dict_keys' | 'dict_values' | 'dict_items' | 'generator';
  readonly #items: readonly Value[];
  #taken = 0;

  constructor(kind: Series['kind'], items: readonly Value[]) {
    this.kind = kind;
    this.#items = items;
  }

  /** The number of remaining items. */
  get size(): number {
    return this.#items.length - this.#taken;
  }

  /** The next items, at most `count`. A view always starts from the beginning. */
  take(count = Infinity): readonly Value[] {
    const items = this.#items.slice(this.#taken, this.#taken + count);
    if (this.kind === 'generator') this.#taken += items.length;
    return items;
  }
}

export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

/** A function, method or macro. */
export class Callable {
  readonly name: string;
  readonly isMacro: boolean;
  readonly call: (args: Arguments) => Value;

  constructor(name: string, call: (args: Arguments) => Value, isMacro = false) {
    this.name = name;
    this.call = call;
    this.isMacro = isMacro;
  }
}

/** An object of the language's own that has attributes, such as `loop`. */
export abstract class Entity {
  abstract readonly name: string;
  /** @returns undefined where there is no such attribute */
  abstract attribute(name: string): Value | undefined;
}

/** A value, or another where it is undefined; unlike `??`, it keeps None. */
export function orElse(value: Value | undefined, other: () => Value): Value {
  return value === undefined ? other() : value;
}

/** Python's name of a value's type. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'int';
  if (typeof value === 'string') return 'str';
  if (isList(value)) return 'list';
  if (value instanceof Float) return 'float';
  if (value instanceof Text) return value.isSafe ? 'Markup' : 'str';
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Tuple) return value instanceof Range ? 'range' : 'tuple';
  if (value instanceof Dict) return 'dict';
  if (value instanceof Namespace) return 'Namespace';
  if (value instanceof Series) return value.kind;
  if (value instanceof Callable) return value.isMacro ? 'Macro' : 'function';
  return value.name;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isText(value: Value): value is AnyText {
  return typeof value === 'string' || value instanceof Text;
}

/** The characters of a text; undefined for other values. */
export function textOf(value: Value): string | undefined {
  return isText(value) ? charsOf(value) : undefined;
}

/** A number's or boolean's numeric value; undefined for other values. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return Number(value);
  return value instanceof Float ? value.value : undefined;
}

/** An integer, which a boolean is too; undefined for other values. */
export function integerOf(value: Value): number | undefined {
  return value instanceof Float ? undefined : numberOf(value);
}

/** The result of integer arithmetic, which is exact in Python. */
export function integer(value: number): number {
  if (!Number.isSafeInteger(value)) throw new TemplateFault('a whole number is too large');
  return value + 0; // -0 is 0
}

export function isTrue(value: Value): boolean {
  if (value instanceof Undefined) return false;
  const number = numberOf(value);
  if (number !== undefined) return number !== 0;
  const text = textOf(value);
  if (value === null || text !== undefined) return text !== undefined && text !== '';
  return !hasLength(value) || lengthOf(value) > 0;
}

/** Whether `len()` accepts it. */
export function hasLength(value: Value): boolean {
  if (value instanceof Series) return value.kind !== 'generator';
  const isContainer = isList(value) || value instanceof Tuple || value instanceof Dict || value instanceof Undefined;
  return isContainer || textOf(value) !== undefined;
}

export function lengthOf(value: Value): number {
  const text = textOf(value);
  if (text !== undefined) return countCodePoints(text);
  if (isList(value)) return value.length;
  if (value instanceof Tuple) return value.items.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof Undefined) return 0;
  if (value instanceof Series && value.kind !== 'generator') return value.size;
  throw new TemplateFault(`object of type '${typeName(value)}' has no len()`);
}

/** The items that a `for` iterates. */
export function iterate(value: Value, budget: TemplateBudget): readonly Value[] {
  if (isList(value)) return value;
  budget.spendElements(textOf(value)?.length ?? (value instanceof Dict || value instanceof Series ? value.size : 0));
  if (isText(value)) return charactersOf(value);
  if (value instanceof Tuple) return value.items;
  if (value instanceof Dict) return value.keys();
  if (value instanceof Series) return value.take();
  if (value instanceof Undefined) return [];
  throw new TemplateFault(`'${typeName(value)}' object is not iterable`);
}

const SURROGATE = /[\ud800-\udfff]/;

/** Python counts code points. */
export function countCodePoints(text: string): number {
  if (!SURROGATE.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The code points of a text, or the text itself where each is one character: a form with Python's indices. */
export function codePoints(text: string): string | readonly string[] {
  return SURROGATE.test(text) ? [...text] : text;
}

/** A text that identifies a key as Python does: 1, 1.0 and True are the same key. */
export function hashKey(value: Value, budget: TemplateBudget): string {
  const text = textOf(value);
  budget.spend(1);
  budget.spendChars(text?.length ?? 0);
  if (text !== undefined) return `s${text}`;
  const number = numberOf(value);
  if (number !== undefined) return `n${number}`;
  if (value === null) return 'None';
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Tuple) {
    const keys = value.items.map((item) => hashKey(item, budget));
    return `t${keys.map((key) => `${key.length}:${key}`).join('')}`;
  }
  throw new TemplateFault(`unhashable type: '${typeName(value)}'`);
}
