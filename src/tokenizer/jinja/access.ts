import { type TemplateBudget } from './budget.ts';
import { TemplateFault } from './errors.ts';
import { dictMethod, listMethod } from './container-methods.ts';
import { type AnyText, charactersOf, charsOf, concatTexts, hasPlainPlaces, keepSafe, sliceText } from './text.ts';
import { textMethod } from './text-methods.ts';
import {
  Callable, Dict, Entity, Group, integerOf, isList, isText, Namespace, orElse, textOf, Tuple, typeName, Undefined, type Value,
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
  return isText(object) ? textMethod(object, name, budget) : undefined;
}

function itemAt(object: Value, key: Value, budget: TemplateBudget): Value | undefined {
  if (object instanceof Dict) return isHashable(key) ? object.get(key, budget) : undefined;
  const place = integerOf(key);
  if (place === undefined) return undefined;
  if (isText(object)) {
    const character = characterAt(object, place, budget);
    return character === undefined ? undefined : keepSafe(object, character);
  }
  const items = isList(object) ? object : object instanceof Tuple ? object.items : [];
  return items.at(place);
}

function characterAt(text: AnyText, place: number, budget: TemplateBudget): AnyText | undefined {
  const chars = charsOf(text);
  budget.spendChars(chars.length);
  if (!hasPlainPlaces(chars)) return charactersOf(text).at(place);
  const index = place < 0 ? place + chars.length : place;
  return index >= 0 && index < chars.length ? sliceText(text, index, index + 1) : undefined;
}

function isHashable(key: Value): boolean {
  if (key instanceof Tuple) return key.items.every(isHashable);
  return !isList(key) && !(key instanceof Dict);
}

/** `object[start:stop:step]`. */
export function sliceOf(object: Value, bounds: readonly Value[], budget: TemplateBudget): Value {
  if (object instanceof Undefined) throw object.fault();
  const items = isList(object) ? object : object instanceof Tuple ? object.items : undefined;
  if (!isText(object) && items === undefined) throw new TemplateFault(`'${typeName(object)}' object is not subscriptable`);
  if (bounds.some((bound) => bound !== null && integerOf(bound) === undefined)) {
    throw new TemplateFault('slice indices must be integers or None');
  }
  const [start, stop, step] = bounds.map(integerOf);
  if (step === 0) throw new TemplateFault('slice step cannot be zero');
  if (isText(object)) return keepSafe(object, slicedText(object, [start, stop, step], budget));
  budget.spendElements(items?.length ?? 0);
  const sliced = pick(items ?? [], start, stop, step);
  return isList(object) ? sliced : new Tuple(sliced);
}

function slicedText(text: AnyText, [start, stop, step]: readonly (number | undefined)[], budget: TemplateBudget): AnyText {
  const chars = charsOf(text);
  budget.spendChars(chars.length);
  if ((step ?? 1) === 1 && hasPlainPlaces(chars)) return sliceText(text, start ?? 0, stop ?? chars.length);
  budget.spendElements(chars.length);
  return concatTexts(pick(charactersOf(text), start, stop, step), budget);
}

/** Python's slice. For a step of 1, JavaScript's bounds mean the same. */
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
