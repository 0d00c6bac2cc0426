import { type TemplateBudget } from './budget.ts';
import { type AnyText, isOwn, markSafe, ownText } from './text.ts';
import { Float, isList, isText, Tuple, type Value } from './values.ts';

/** A number as it is written: the template's own, unless it may be data. */
export function numberText(digits: string, budget: TemplateBudget): AnyText {
  return budget.numbersAreData ? digits : ownText(digits);
}

/** What is made of values: its texts are the template's own where all that it is made of is. */
export function madeOf(values: readonly Value[], made: Value, budget: TemplateBudget): Value {
  return values.every((value) => isOwnValue(value, budget)) ? mapTexts(made, (text) => (typeof text === 'string' ? ownText(text) : text)) : made;
}

/** What is made of a safe text is safe. */
export function safely(value: Value): Value {
  return mapTexts(value, markSafe);
}

/** Whether nothing in a value is data. What holds others is not looked into. */
function isOwnValue(value: Value, budget: TemplateBudget): boolean {
  if (typeof value === 'number' || value instanceof Float) return !budget.numbersAreData;
  return value === null || typeof value === 'boolean' || (isText(value) && isOwn(value));
}

function mapTexts(value: Value, map: (text: AnyText) => AnyText): Value {
  if (isText(value)) return map(value);
  if (isList(value)) return value.map((item) => mapTexts(item, map));
  return value instanceof Tuple ? new Tuple(value.items.map((item) => mapTexts(item, map))) : value;
}
