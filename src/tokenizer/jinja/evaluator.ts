import { attributeOf, itemOf, sliceOf } from './access.ts';
import { type TemplateBudget } from './budget.ts';
import { TemplateFault, TemplateLimit } from './errors.ts';
import { type FilterContext } from './filter.ts';
import { findFilter } from './filters.ts';
import { compareBy, isComparison, operate, sign } from './operators.ts';
import { madeOf } from './provenance.ts';
import { type Scope } from './scope.ts';
import { GENERATION_FILTER } from './source.ts';
import { type Argument, type BinaryNode, type CallNode, type Expression, type FilterName, type MemberNode } from './syntax.ts';
import { ownText } from './text.ts';
import { GROUP_FILTER, testOfFilter, TUPLE_FILTER } from './syntax-extensions.ts';
import { applyTest } from './tests.ts';
import {
  type Arguments, Callable, Dict, Float, integer, isTrue, iterate, orElse, textOf, Tuple, typeName, Undefined, type Value,
} from './values.ts';

/** Nested expressions, blocks and macro calls; known templates have thirty at most. */
const MAX_DEPTH = 200;

const CONSTANTS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['true', true], ['True', true], ['false', false], ['False', false], ['none', null], ['None', null],
]);

/** Named arguments in addition to those in the template. */
type Named = readonly (readonly [string, Value])[];

/** Evaluates expressions. Each costs a step. An operation spends its further cost before it begins. */
export class Evaluator {
  readonly #budget: TemplateBudget;
  readonly #context: FilterContext;
  #depth = 0;

  constructor(budget: TemplateBudget) {
    this.#budget = budget;
    this.#context = {
      budget,
      applyFilter: (name, value, args) =>
        madeOf([value, ...args.positional, ...args.named.values()], findFilter(name)(value, args, this.#context), budget),
      applyTest: (name, value, args) => applyTest(name, value, args, budget),
    };
  }

  evaluate(node: Expression, scope: Scope): Value {
    this.#budget.spend(1);
    this.enter();
    const value = this.#valueOf(node, scope);
    this.leave();
    return value;
  }

  /** Goes one level deeper, until `leave`. An error ends the whole rendering, so `leave` need not run then. */
  enter(): void {
    if (++this.#depth > MAX_DEPTH) throw new TemplateLimit(`it nests deeper than ${MAX_DEPTH}`);
  }

  leave(): void {
    this.#depth--;
  }

  call({ callee, args }: CallNode, scope: Scope, named: Named = []): Value {
    const called = this.evaluate(callee, scope);
    if (called instanceof Undefined) throw called.fault();
    if (!(called instanceof Callable)) throw new TemplateFault(`'${typeName(called)}' object is not callable`);
    return called.call(this.#arguments(args, scope, named));
  }

  filter(filter: FilterName, value: Value, scope: Scope): Value {
    const nameNode = filter.type === 'Identifier' ? filter : filter.callee;
    const name = nameNode.type === 'Identifier' ? nameNode.value : '';
    if (name === GROUP_FILTER || name === GENERATION_FILTER) return value;
    if (name === TUPLE_FILTER) return new Tuple(iterate(value, this.#budget));
    const args = this.#arguments(filter.type === 'CallExpression' ? filter.args : [], scope);
    const test = testOfFilter(name);
    if (test === undefined) return this.#context.applyFilter(name, value, args);
    return this.#context.applyTest(test.test, value, args.positional) !== test.negated;
  }

  #arguments(nodes: readonly Argument[], scope: Scope, extra: Named = []): Arguments {
    const positional: Value[] = [];
    const named = new Map<string, Value>(extra);
    const add = (name: string | undefined, value: Value): void => {
      if (name === undefined) throw new TemplateFault('keywords must be strings');
      if (named.has(name)) throw new TemplateFault(`multiple values for keyword argument '${name}'`);
      named.set(name, value);
    };
    for (const node of nodes) {
      if (node.type === 'KeywordArgumentExpression') add(node.key.value, this.evaluate(node.value, scope));
      else if (node.type === 'SpreadExpression') {
        const items = iterate(this.evaluate(node.argument, scope), this.#budget);
        this.#budget.spendElements(items.length);
        for (const item of items) positional.push(item);
      } else if (node.type === 'KeywordSpreadExpression') {
        const mapping = this.evaluate(node.argument, scope);
        if (!(mapping instanceof Dict)) throw new TemplateFault(`argument after ** must be a mapping, not ${typeName(mapping)}`);
        this.#budget.spendElements(mapping.size);
        for (const [key, value] of mapping.entries()) add(textOf(key), value);
      } else positional.push(this.evaluate(node, scope));
    }
    return { positional, named };
  }

  #valueOf(node: Expression, scope: Scope): Value {
    switch (node.type) {
      case 'StringLiteral':
        return ownText(node.value);
      case 'IntegerLiteral':
        return integer(node.value);
      case 'FloatLiteral':
        return new Float(node.value);
      case 'ArrayLiteral':
        return node.value.map((item) => this.evaluate(item, scope));
      case 'TupleLiteral':
        return new Tuple(node.value.map((item) => this.evaluate(item, scope)));
      case 'ObjectLiteral': {
        const entries = [...node.value].map(([key, value]) => [this.evaluate(key, scope), this.evaluate(value, scope)] as const);
        return new Dict(entries, this.#budget);
      }
      case 'Identifier':
        return nameValue(node.value, scope);
      case 'MemberExpression':
        return this.#member(node, scope);
      case 'CallExpression':
        return this.call(node, scope);
      case 'UnaryExpression': {
        const value = this.evaluate(node.argument, scope);
        return node.operator.value === 'not' ? !isTrue(value) : sign(node.operator.value, value);
      }
      case 'BinaryExpression':
        return this.#binary(node, scope);
      case 'FilterExpression':
        return this.filter(node.filter, this.evaluate(node.operand, scope), scope);
      case 'TestExpression':
        return this.#context.applyTest(node.test.value, this.evaluate(node.operand, scope), []) !== node.negate;
      case 'Ternary':
        return this.evaluate(isTrue(this.evaluate(node.condition, scope)) ? node.trueExpr : node.falseExpr, scope);
      case 'SelectExpression':
        if (isTrue(this.evaluate(node.test, scope))) return this.evaluate(node.lhs, scope);
        return new Undefined('the inline if-expression evaluated to false and no else section was defined.');
    }
  }

  #member({ object, property, computed }: MemberNode, scope: Scope): Value {
    const value = this.evaluate(object, scope);
    if (!computed && property.type === 'Identifier') return attributeOf(value, property.value, this.#budget);
    if (property.type !== 'SliceExpression') return itemOf(value, this.evaluate(property, scope), this.#budget);
    const { start, stop, step } = property;
    const bounds = [start, stop, step].map((bound) => (bound === undefined ? null : this.evaluate(bound, scope)));
    return sliceOf(value, bounds, this.#budget);
  }

  #binary(node: BinaryNode, scope: Scope): Value {
    const operator = node.operator.value;
    if (isComparison(operator)) return this.#comparison(node, scope).holds;
    const left = this.evaluate(node.left, scope);
    if (operator === 'and') return isTrue(left) ? this.evaluate(node.right, scope) : left;
    if (operator === 'or') return isTrue(left) ? left : this.evaluate(node.right, scope);
    return operate(operator, left, this.evaluate(node.right, scope), this.#budget);
  }

  /** `a < b < c` is `a < b and b < c`; the last value compared is passed on. */
  #comparison({ operator, left, right }: BinaryNode, scope: Scope): { readonly holds: boolean; readonly last: Value } {
    const isChain = left.type === 'BinaryExpression' && isComparison(left.operator.value);
    this.enter();
    const before = isChain ? this.#comparison(left, scope) : { holds: true, last: this.evaluate(left, scope) };
    this.leave();
    if (!before.holds) return before;
    const last = this.evaluate(right, scope);
    return { holds: compareBy(operator.value, before.last, last, this.#budget), last };
  }
}

function nameValue(name: string, scope: Scope): Value {
  const constant = CONSTANTS.get(name);
  return constant === undefined ? orElse(scope.get(name), () => new Undefined(`'${name}' is undefined`)) : constant;
}
