import { type TemplateBudget } from './budget.ts';
import { compare, contains, equals } from './comparing.ts';
import { TemplateFault } from './errors.ts';
import { formatPercent } from './format-percent.ts';
import { escapeHtml } from './html.ts';
import { floorDivide, floorModulo } from './numbers.ts';
import { print } from './printing.ts';
import { type AnyText, charsOf, concatTexts, isOwn, isSafeText, keepSafe, mapText, markSafe } from './text.ts';
import { Float, integer, integerOf, isList, isText, numberOf, Range, Tuple, typeName, Undefined, type Value } from './values.ts';

const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=', 'in', 'not in']);

export function isComparison(operator: string): boolean {
  return COMPARISONS.has(operator);
}

export function compareBy(operator: string, left: Value, right: Value, budget: TemplateBudget): boolean {
  switch (operator) {
    case '==':
      return equals(left, right, budget);
    case '!=':
      return !equals(left, right, budget);
    case 'in':
      return contains(right, left, budget);
    case 'not in':
      return !contains(right, left, budget);
    case '<':
      return compare(left, right, operator, budget) < 0;
    case '<=':
      return compare(left, right, operator, budget) <= 0;
    case '>':
      return compare(left, right, operator, budget) > 0;
    default:
      return compare(left, right, operator, budget) >= 0;
  }
}

/** The result of an operator that is not a comparison. */
export function operate(operator: string, left: Value, right: Value, budget: TemplateBudget): Value {
  if (operator === '~') return concatenate(left, right, budget);
  if (operator === '%' && isText(left)) return formatPercent(left, right, budget);
  for (const value of [left, right]) if (value instanceof Undefined) throw value.fault();
  const joined = operator === '+' ? add(left, right, budget) : undefined;
  const repeated = operator === '*' ? (repeat(left, right, budget) ?? repeat(right, left, budget)) : undefined;
  return joined ?? repeated ?? calculate(operator, left, right);
}

function concatenate(left: Value, right: Value, budget: TemplateBudget): AnyText {
  const [textLeft, textRight] = [print(left, budget), print(right, budget)];
  budget.spendChars(charsOf(textLeft).length + charsOf(textRight).length);
  return concatTexts([textLeft, textRight], budget);
}

/** Texts or lists concatenated; undefined for other values. */
function add(left: Value, right: Value, budget: TemplateBudget): Value | undefined {
  if (isText(left) && isText(right)) {
    const isSafe = isSafeText(left) || isSafeText(right);
    budget.spendChars((charsOf(left).length + charsOf(right).length) * (isSafe ? 5 : 1));
    return isSafe ? markSafe(concatTexts([escapeHtml(left, budget), escapeHtml(right, budget)], budget)) : concatTexts([left, right], budget);
  }
  if (isText(left)) throw new TemplateFault(`can only concatenate str (not "${typeName(right)}") to str`);
  if (isList(left) && isList(right)) {
    budget.spendElements(left.length + right.length);
    return left.concat(right);
  }
  if (isTuple(left) && isTuple(right)) {
    budget.spendElements(left.items.length + right.items.length);
    return new Tuple(left.items.concat(right.items));
  }
  return undefined;
}

function isTuple(value: Value): value is Tuple {
  return value instanceof Tuple && !(value instanceof Range);
}

/** A text or list repeated; undefined for other values. */
function repeat(what: Value, times: Value, budget: TemplateBudget): Value | undefined {
  const count = Math.max(0, integerOf(times) ?? 0);
  if (integerOf(times) === undefined) return undefined;
  if (isText(what)) return keepSafe(what, repeatText(what, count, budget));
  const items = isList(what) ? what : isTuple(what) ? what.items : undefined;
  if (items === undefined) return undefined;
  budget.spendElements(items.length * count);
  const repeated = Array.from({ length: items.length === 0 ? 0 : count }, () => items).flat();
  return isList(what) ? repeated : new Tuple(repeated);
}

function repeatText(text: AnyText, count: number, budget: TemplateBudget): AnyText {
  const chars = charsOf(text);
  budget.spendChars(chars.length * count);
  if (typeof text === 'string' || isOwn(text)) return mapText(text, () => chars.repeat(count));
  budget.spendElements(count);
  return concatTexts(Array.from({ length: count }, () => text), budget);
}

function calculate(operator: string, left: Value, right: Value): Value {
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a === undefined || b === undefined) {
    throw new TemplateFault(
      `unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`,
    );
  }
  const isFloat = left instanceof Float || right instanceof Float || operator === '/' || (operator === '**' && b < 0);
  const dividesByZero = (b === 0 && ['/', '//', '%'].includes(operator)) || (a === 0 && operator === '**' && b < 0);
  if (dividesByZero) throw new TemplateFault('division by zero');
  const result = compute(operator, a, b);
  return isFloat ? new Float(result) : integer(result);
}

function compute(operator: string, a: number, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '//':
      return floorDivide(a, b);
    case '%':
      return floorModulo(a, b);
    case '**':
      return a ** b;
    default:
      throw new TemplateFault(`the operator ${operator} is not known`);
  }
}

/** The result of a unary sign. */
export function sign(operator: string, value: Value): Value {
  if (value instanceof Undefined) throw value.fault();
  const number = numberOf(value);
  if (number === undefined) throw new TemplateFault(`bad operand type for unary ${operator}: '${typeName(value)}'`);
  const signed = operator === '-' ? -number : number;
  return value instanceof Float ? new Float(signed) : integer(signed);
}
