import { type TemplateBudget } from './budget.ts';
import { TemplateFault } from './errors.ts';
import { dictMethod, listMethod } from './container-methods.ts';
import { textMethod } from './text-methods.ts';
import {
  Callable, codePoints, Dict, Entity, Group, integerOf, isList, Namespace, orElse, SafeText, textOf, Tuple, typeName, Undefined, type Value,
} from './values.ts';

/** `object.name`: an attribute, else an item. */
export function attributeOf(object: Value, name: string, budget: TemplateBudget): Value {
  if (object instanceof Undefined) throw object.fault();
  return orElse(ownAttribute(object, name, budget), () => orElse(itemAt(object, name, budget), () => missing(object, name)));
}

/** `object[key]`: an item, else an attribute. */
export function itemOf(object: Value, key: Value, budget: TemplateBudget): Value {
  if (object instanceof Undefined) throw object.fault();
  const name = textOf(key);
  const attribute = (): Value | undefined => (name === undefined ? undefined : ownAttribute(object, name, budget));
  return orElse(itemAt(object, key, budget), () => orElse(attribute(), () => missing(object, key)));
}

function missing(object: Value, key: Value): Undefined {
  const name = textOf(key);
  if (name === undefined) return new Undefined(`${typeName(object)} object has no such element`);
  return new Undefined(object === null ? `None has no element '${name}'` : `'${typeName(object)} object' has no attribute '${name}'`);
}

function ownAttribute(object: Value, name: string, budget: TemplateBudget): Value | undefined {
  if (name.startsWith('_')) return undefined;
  if (object instanceof Group && object.attributes.has(name)) return object.attributes.get(name);
  if (object instanceof Namespace) return object.attributes.get(name);
  if (object instanceof Entity) return object.attribute(name);
  if (object instanceof Callable) return object.isMacro && name === 'name' ? object.name : undefined;
  if (object instanceof Dict) return dictMethod(object, name, budget);
  if (isList(object) || object instanceof Tuple) return listMethod(object, name, budget);
  return textOf(object) === undefined ? undefined : textMethod(object as string | SafeText, name, budget);
}

function itemAt(object: Value, key: Value, budget: TemplateBudget): Value | undefined {
  if (object instanceof Dict) return isHashable(key) ? object.get(key, budget) : undefined;
  const place = integerOf(key);
  if (place === undefined) return undefined;
  const text = textOf(object);
  if (text !== undefined) {
    budget.spendChars(text.length);
    const character = codePoints(text).at(place);
    return object instanceof SafeText && character !== undefined ? new SafeText(character) : character;
  }
  const items = isList(object) ? object : object instanceof Tuple ? object.items : [];
  return items.at(place);
}

function isHashable(key: Value): boolean {
  if (key instanceof Tuple) return key.items.every(isHashable);
  return !isList(key) && !(key instanceof Dict);
}

/** `object[start:stop:step]`. */
export function sliceOf(object: Value, bounds: readonly Value[], budget: TemplateBudget): Value {
  if (object instanceof Undefined) throw object.fault();
  const text = textOf(object);
  const items = isList(object) ? object : object instanceof Tuple ? object.items : undefined;
  if (text === undefined && items === undefined) throw new TemplateFault(`'${typeName(object)}' object is not subscriptable`);
  if (bounds.some((bound) => bound !== null && integerOf(bound) === undefined)) {
    throw new TemplateFault('slice indices must be integers or None');
  }
  const [start, stop, step] = bounds.map(integerOf);
  if (step === 0) throw new TemplateFault('slice step cannot be zero');
  if (items !== undefined) {
    budget.spendElements(items.length);
    const sliced = pick(items, start, stop, step);
    return isList(object) ? sliced : new Tuple(sliced);
  }
  budget.spendChars(text?.length ?? 0);
  const points = codePoints(text ?? '');
  const sliced =
    typeof points === 'string' && (step ?? 1) === 1
      ? points.slice(start ?? 0, stop ?? points.length)
      : (budget.spendElements(points.length), pick([...points], start, stop, step).join(''));
  return object instanceof SafeText ? new SafeText(sliced) : sliced;
}

/** Python's slice. JavaScript's bounds mean the same where it goes forward one by one. */
function pick<T>(items: readonly T[], start?: number, stop?: number, step = 1): readonly T[] {
  if (step === 1) return items.slice(start ?? 0, stop ?? items.length);
  const length = items.length;
  const [lowest, highest] = step > 0 ? [0, length] : [-1, length - 1];
  const place = (bound: number | undefined, open: number): number => {
    if (bound === undefined) return open;
    return Math.min(Math.max(bound < 0 ? bound + length : bound, lowest), highest);
  };
  const [first, end] = step > 0 ? [place(start, 0), place(stop, length)] : [place(start, length - 1), place(stop, -1)];
  const picked: T[] = [];
  for (let i = first; step > 0 ? i < end : i > end; i += step) {
    const item = items[i];
    if (item !== undefined) picked.push(item);
  }
  return picked;
}
