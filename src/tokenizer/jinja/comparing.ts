import { type TemplateBudget } from './budget.ts';
import { TemplateFault, TemplateLimit } from './errors.ts';
import { MAX_NESTING } from './printing.ts';
import { Dict, isList, iterate, numberOf, Series, textOf, Tuple, typeName, Undefined, type Value } from './values.ts';

/** Python's `==`. */
export function equals(a: Value, b: Value, budget: TemplateBudget, depth = 0): boolean {
  budget.spend(1);
  if (depth > MAX_NESTING) throw new TemplateLimit(`a value nests deeper than ${MAX_NESTING}`);
  const [textA, textB] = [textOf(a), textOf(b)];
  if (textA !== undefined || textB !== undefined) {
    if (textA?.length !== textB?.length) return false;
    budget.spendChars(textA?.length ?? 0);
    return textA === textB;
  }
  const [numberA, numberB] = [numberOf(a), numberOf(b)];
  if (numberA !== undefined || numberB !== undefined) return numberA === numberB;
  if (isList(a) && isList(b)) return allEqual(a, b, budget, depth);
  if (a instanceof Tuple && b instanceof Tuple) return allEqual(a.items, b.items, budget, depth);
  if (a instanceof Dict && b instanceof Dict) {
    if (a.size !== b.size) return false;
    return a.entries().every(([key, item]) => {
      const other = b.get(key, budget);
      return other !== undefined && equals(item, other, budget, depth + 1);
    });
  }
  return a === b || (a instanceof Undefined && b instanceof Undefined);
}

function allEqual(a: readonly Value[], b: readonly Value[], budget: TemplateBudget, depth: number): boolean {
  return a.length === b.length && a.every((item, i) => equals(item, b[i] ?? null, budget, depth + 1));
}

/** Python's order by `<`: below zero, zero or above. */
export function compare(a: Value, b: Value, operator: string, budget: TemplateBudget, depth = 0): number {
  budget.spend(1);
  if (depth > MAX_NESTING) throw new TemplateLimit(`a value nests deeper than ${MAX_NESTING}`);
  for (const value of [a, b]) if (value instanceof Undefined) throw value.fault();
  const [numberA, numberB] = [numberOf(a), numberOf(b)];
  if (numberA !== undefined && numberB !== undefined) return numberA < numberB ? -1 : Number(numberA > numberB);
  const [textA, textB] = [textOf(a), textOf(b)];
  if (textA !== undefined && textB !== undefined) {
    budget.spendChars(Math.min(textA.length, textB.length));
    return compareTexts(textA, textB);
  }
  const [listA, listB] = [itemsOf(a), itemsOf(b)];
  if (listA !== undefined && listB !== undefined && isList(a) === isList(b)) {
    for (const [i, item] of listA.entries()) {
      const other = listB[i];
      if (other === undefined) return 1;
      if (!equals(item, other, budget, depth + 1)) return compare(item, other, operator, budget, depth + 1);
    }
    return listA.length - listB.length;
  }
  throw new TemplateFault(`'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

function itemsOf(value: Value): readonly Value[] | undefined {
  return isList(value) ? value : value instanceof Tuple ? value.items : undefined;
}

/** By code point, as in Python; JavaScript compares UTF-16 units. */
function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  let place = 0;
  while (place < length && a[place] === b[place]) place++;
  if (place === length) return a.length - b.length;
  const [unitA, unitB] = [a.charCodeAt(place), b.charCodeAt(place)];
  const rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);
  return rank(unitA) - rank(unitB);
}

/** Python's `in`. */
export function contains(container: Value, value: Value, budget: TemplateBudget): boolean {
  const text = textOf(container);
  if (text !== undefined) {
    const part = textOf(value);
    if (value instanceof Undefined) throw value.fault();
    if (part === undefined) {
      throw new TemplateFault(`'in <string>' requires string as left operand, not ${typeName(value)}`);
    }
    spendSearch(text, part, budget);
    return text.includes(part);
  }
  if (container instanceof Dict) return container.get(value, budget) !== undefined;
  if (container instanceof Series && container.kind === 'generator') {
    while (container.size > 0) if (container.take(1).some((item) => equals(item, value, budget))) return true;
    return false;
  }
  if (container === null || numberOf(container) !== undefined) {
    throw new TemplateFault(`argument of type '${typeName(container)}' is not iterable`);
  }
  return iterate(container, budget).some((item) => equals(item, value, budget));
}

/** A search may examine each character of the pattern at each index. */
export function spendSearch(text: string, part: string, budget: TemplateBudget): void {
  if (part.length <= text.length) budget.spendChars(text.length * Math.max(1, part.length));
}
