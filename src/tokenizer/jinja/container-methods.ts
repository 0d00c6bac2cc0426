import { type TemplateBudget } from './budget.ts';
import { bind, optionalInteger } from './arguments.ts';
import { equals } from './comparing.ts';
import { TemplateFault } from './errors.ts';
import { type Arguments, Callable, type Dict, isList, orElse, Series, Tuple, Undefined, type Value } from './values.ts';

/** Methods that change a list or mapping, which templates may not call (as in transformers' sandbox). */
const CHANGES = 'append clear extend insert pop popitem remove reverse setdefault sort update'.split(' ');

/**
 * A method of a list or tuple; undefined where there is none of that name, an undefined value where it is not allowed.
 */
export function listMethod(list: readonly Value[] | Tuple, name: string, budget: TemplateBudget): Callable | Undefined | undefined {
  const items = isList(list) ? list : list.items;
  switch (name) {
    case 'count':
      return new Callable(name, (args) => {
        const [value = null] = bind(name, args, ['value'], 1);
        return items.filter((item) => equals(item, value, budget)).length;
      });
    case 'index':
      return new Callable(name, (args) => indexOf(items, args, budget));
    case 'copy':
      return isList(list) ? new Callable(name, () => list) : undefined;
    default:
      return isList(list) ? forbidden('list', name, ['popitem', 'setdefault', 'update']) : undefined;
  }
}

function indexOf(items: readonly Value[], args: Arguments, budget: TemplateBudget): number {
  const [value = null, start, stop] = bind('index', args, ['value', 'start', 'stop'], 1);
  const place = (bound: number): number => (bound < 0 ? Math.max(0, bound + items.length) : bound);
  const [from, to] = [place(optionalInteger(start, 'a start') ?? 0), place(optionalInteger(stop, 'a stop') ?? items.length)];
  const found = items.findIndex((item, i) => i >= from && i < to && equals(item, value, budget));
  if (found < 0) throw new TemplateFault('the value is not in the list');
  return found;
}

/** The same for a mapping. */
export function dictMethod(dict: Dict, name: string, budget: TemplateBudget): Callable | Undefined | undefined {
  const view = (kind: Series['kind'], items: () => readonly Value[]): Callable =>
    new Callable(name, (args) => {
      bind(name, args, []);
      budget.spendElements(dict.size);
      return new Series(kind, items());
    });
  switch (name) {
    case 'get':
      return new Callable(name, (args) => {
        const [key = null, fallback = null] = bind(name, args, ['key', 'default'], 1);
        return orElse(dict.get(key, budget), () => fallback);
      });
    case 'items':
      return view('dict_items', () => dict.entries().map((entry) => new Tuple(entry)));
    case 'keys':
      return view('dict_keys', () => dict.keys());
    case 'values':
      return view('dict_values', () => dict.values());
    case 'copy':
      return new Callable(name, () => dict);
    default:
      return forbidden('dict', name, ['append', 'extend', 'insert', 'remove', 'reverse', 'sort']);
  }
}

/** @param absent methods that this type does not have */
function forbidden(type: string, name: string, absent: readonly string[]): Undefined | undefined {
  if (!CHANGES.includes(name) || absent.includes(name)) return undefined;
  return new Undefined(`a ${type} cannot be changed: '${name}' is not allowed`);
}
