import { type TemplateBudget } from './budget.ts';
import { contains } from './comparing.ts';
import { TemplateFault } from './errors.ts';
import { findFilter } from './filters.ts';
import { floorModulo } from './numbers.ts';
import { compareBy } from './operators.ts';
import { print } from './printing.ts';
import { charsOf, isSafeText } from './text.ts';
import {
  Callable, Dict, Float, integerOf, isList, isText, numberOf, Series, textOf, Tuple, typeName, Undefined, type Value,
} from './values.ts';

type Test = (value: Value, args: readonly Value[], budget: TemplateBudget) => boolean;

const first = (args: readonly Value[]): Value => {
  const [argument] = args;
  if (argument === undefined) throw new TemplateFault('the test misses its argument');
  return argument;
};

const comparison =
  (operator: string): Test =>
  (value, args, budget) =>
    compareBy(operator, value, first(args), budget);

const remainder = (value: Value, divisor: Value): number => {
  if (value instanceof Undefined) throw value.fault();
  const [a, b] = [numberOf(value), numberOf(divisor)];
  if (a === undefined || b === undefined) throw new TemplateFault(`a remainder of ${typeName(value)} by ${typeName(divisor)}`);
  if (b === 0) throw new TemplateFault('division by zero');
  return floorModulo(a, b);
};

const isCased = (value: Value, budget: TemplateBudget, change: (text: string) => string, other: (text: string) => string): boolean => {
  const text = charsOf(print(value, budget));
  budget.spendChars(text.length);
  return text === change(text) && text !== other(text);
};
const lower = (text: string): string => text.toLowerCase();
const upper = (text: string): string => text.toUpperCase();

const isSequence = (value: Value): boolean =>
  isText(value) || isList(value) || value instanceof Tuple || value instanceof Dict || value instanceof Undefined;

const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['boolean', (value) => typeof value === 'boolean'],
  // In Python, an undefined value has all methods.
  ['callable', (value) => value instanceof Callable || value instanceof Undefined],
  ['defined', (value) => !(value instanceof Undefined)],
  ['divisibleby', (value, args) => remainder(value, first(args)) === 0],
  ['escaped', isSafeText],
  ['even', (value) => remainder(value, 2) === 0],
  ['false', (value) => value === false],
  ['filter', (value) => isFilter(value)],
  ['float', (value) => value instanceof Float],
  ['in', (value, args, budget) => contains(first(args), value, budget)],
  ['integer', (value) => typeof value === 'number'],
  ['iterable', (value) => isSequence(value) || value instanceof Series],
  ['lower', (value, _, budget) => isCased(value, budget, lower, upper)],
  ['mapping', (value) => value instanceof Dict],
  ['none', (value) => value === null],
  ['number', (value) => numberOf(value) !== undefined],
  ['odd', (value) => remainder(value, 2) === 1],
  ['sameas', (value, args) => isSame(value, first(args))],
  ['sequence', isSequence],
  ['string', isText],
  ['test', (value) => TESTS.has(textOf(value) ?? '')],
  ['true', (value) => value === true],
  ['undefined', (value) => value instanceof Undefined],
  ['upper', (value, _, budget) => isCased(value, budget, upper, lower)],
  ...Object.entries({
    '==': ['eq', 'equalto'], '!=': ['ne'], '<': ['lt', 'lessthan'], '<=': ['le'], '>': ['gt', 'greaterthan'], '>=': ['ge'],
  }).flatMap(([operator, names]) => [operator, ...names].map((name) => [name, comparison(operator)] as const)),
]);

/** @throws TemplateFault where there is no such test */
export function applyTest(name: string, value: Value, args: readonly Value[], budget: TemplateBudget): boolean {
  const test = TESTS.get(name);
  if (test === undefined) throw new TemplateFault(`No test named '${name.slice(0, 64)}'`);
  return test(value, args, budget);
}

/** Python's `is`: equal small integers and texts are, or may be, the same object. */
function isSame(a: Value, b: Value): boolean {
  const isPlain = isText(a) || integerOf(a) !== undefined;
  return isPlain && typeName(a) === typeName(b) ? textOf(a) === textOf(b) && integerOf(a) === integerOf(b) : a === b;
}

function isFilter(value: Value): boolean {
  try {
    findFilter(textOf(value) ?? '');
    return true;
  } catch {
    return false;
  }
}
