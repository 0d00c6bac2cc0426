import { bind, expectInteger } from './arguments.ts';
import { type TemplateBudget } from './budget.ts';
import { TemplateFault, TemplateRefusal } from './errors.ts';
import { print } from './printing.ts';
import { charsOf, mapText } from './text.ts';
import { strftime } from './strftime.ts';
import { type Arguments, Callable, Dict, Entity, iterate, Namespace, Range, textOf, Undefined, type Value } from './values.ts';

/** The most characters that one letter of a date's format produces. */
const MOST_DATE_CHARS = 32;

/** The functions that chat templates expect: Jinja's own, and those of transformers' apply_chat_template. */
export function templateGlobals(budget: TemplateBudget, now: Date): readonly Callable[] {
  return [
    new Callable('cycler', ({ positional }) => new Cycler(positional)),
    new Callable('dict', (args) => dict(args, budget)),
    new Callable('joiner', (args) => {
      const [separator = ', '] = bind('joiner', args, ['sep']);
      let isFirst = true;
      return new Callable('joiner', () => {
        const text = isFirst ? '' : separator;
        isFirst = false;
        return text;
      });
    }),
    new Callable('namespace', (args) => new Namespace(textEntries(dict(args, budget)))),
    new Callable('raise_exception', (args) => {
      const [message = null] = bind('raise_exception', args, ['message']);
      throw new TemplateRefusal(textOf(message) ?? 'it gives no reason');
    }),
    new Callable('range', (args) => range(args, budget)),
    new Callable('strftime_now', (args) => {
      const format = print(bind('strftime_now', args, ['format'], 1)[0] ?? null, budget);
      budget.spendChars(charsOf(format).length * MOST_DATE_CHARS);
      return mapText(format, (chars) => strftime(now, chars));
    }),
  ];
}

/** A mapping of a mapping or pairs, and the named arguments. */
function dict({ positional, named }: Arguments, budget: TemplateBudget): Dict {
  const [source] = bind('dict', { positional, named: new Map() }, ['mapping']);
  const pairs = source === undefined ? [] : source instanceof Dict ? source.entries() : pairsOf(source, budget);
  return new Dict([...pairs, ...named], budget);
}

function pairsOf(source: Value, budget: TemplateBudget): readonly (readonly [Value, Value])[] {
  return iterate(source, budget).map((item) => {
    const [key, value, ...rest] = iterate(item, budget);
    if (key !== undefined && value !== undefined && rest.length === 0) return [key, value];
    throw new TemplateFault('dict() takes a mapping or pairs');
  });
}

function textEntries(values: Dict): readonly (readonly [string, Value])[] {
  return values.entries().map(([key, value]) => {
    const name = textOf(key);
    if (name === undefined) throw new TemplateFault('the names in a namespace are texts');
    return [name, value];
  });
}

/** Python's. */
function range(args: Arguments, budget: TemplateBudget): Range {
  const bounds = bind('range', args, ['start', 'stop', 'step'], 1).filter((bound) => bound !== undefined);
  const numbers = bounds.map((bound) => {
    if (bound instanceof Undefined) throw bound.fault();
    return expectInteger(bound, 'a bound of range()');
  });
  const [start = 0, stop = 0, step = 1] = numbers.length === 1 ? [0, ...numbers] : numbers;
  if (step === 0) throw new TemplateFault('range() arg 3 must not be zero');
  const length = Math.max(0, Math.ceil((stop - start) / step));
  budget.spend(length);
  return new Range([start, stop, step], Array.from({ length }, (_, i) => start + i * step));
}

/** Jinja's `cycler`: its values in rotation. */
class Cycler extends Entity {
  override readonly name = 'Cycler';
  readonly #items: readonly Value[];
  #place = 0;

  constructor(items: readonly Value[]) {
    super();
    if (items.length === 0) throw new TemplateFault('at least one item has to be provided');
    this.#items = items;
  }

  override attribute(name: string): Value | undefined {
    const current = this.#items[this.#place] ?? null;
    if (name === 'current') return current;
    if (name === 'reset') return new Callable(name, () => ((this.#place = 0), null));
    return name !== 'next' ? undefined : new Callable(name, () => this.#step());
  }

  #step(): Value {
    const current = this.#items[this.#place] ?? null;
    this.#place = (this.#place + 1) % this.#items.length;
    return current;
  }
}
