import { type TemplateBudget } from './budget.ts';
import { type AnyText, isOwn, markSafe, ownText } from './text.ts';
import { Float, isList, isText, Tuple, type Value } from './values.ts';

/** A number as text: the template's own, unless it may be data. */
export function numberText(digits: string, budget: TemplateBudget): AnyText {
  return budget.numbersAreData ? digits : ownText(digits);
}

/** A value made of others. Its texts are the template's own if all the others are. */
export function madeOf(values: readonly Value[], made: Value, budget: TemplateBudget): Value {
  return values.every((value) => isOwnValue(value, budget)) ? mapTexts(made, (text) => (typeof text === 'string' ? ownText(text) : text)) : made;
}

/** Marks a value as safe because it is made of a safe text. */
export function safely(value: Value): Value {
  return mapTexts(value, markSafe);
}

/** Whether a value contains no data. Elements of containers are not examined. */
function isOwnValue(value: Value, budget: TemplateBudget): boolean {
  if (typeof value === 'number' || value instanceof Float) return !budget.numbersAreData;
  return value === null || typeof value === 'boolean' || (isText(value) && isOwn(value));
}

function mapTexts(value: Value, map: (text: AnyText) => AnyText): Value {
  if (isText(value)) return map(value);
  if (isList(value)) return value.map((item) => mapTexts(item, map));
  return value instanceof Tuple ? new Tuple(value.items.map((item) => mapTexts(item, map))) : value;
}
