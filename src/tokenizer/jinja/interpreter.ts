import { type TemplateBudget } from './budget.ts';
import { TemplateFault } from './errors.ts';
import { Evaluator } from './evaluator.ts';
import { Loop } from './loop.ts';
import { bindParameters, type SpecialName, specialNames } from './macros.ts';
import { print } from './printing.ts';
import { type AnyText, charsOf, TextBuilder } from './text.ts';
import { Scope } from './scope.ts';
import { type Block, type CallBlockNode, type Expression, type FilterName, type ForNode, isStatement, type Parameter, type SetNode, type Statement } from './syntax.ts';
import { Callable, isTrue, iterate, Namespace, type Value } from './values.ts';

/** How a block ended. */
type Flow = 'next' | 'break' | 'continue';

/**
 * Runs a template within a budget. A template comes with the file, so it may be written to run for ever, and a
 * synchronous interpreter cannot be interrupted. So each step counts, and an operation spends its further cost before
 * it begins.
 */
export class Interpreter {
  readonly #budget: TemplateBudget;
  readonly #evaluator: Evaluator;
  readonly #specialNames = new WeakMap<Block, ReadonlySet<SpecialName>>();

  constructor(budget: TemplateBudget) {
    this.#budget = budget;
    this.#evaluator = new Evaluator(budget);
  }

  /** The output of a block. */
  run(block: Block, scope: Scope): AnyText {
    const out = new TextBuilder(this.#budget);
    this.#block(block, scope, out);
    return out.build();
  }

  #block(block: Block, scope: Scope, out: TextBuilder): Flow {
    this.#evaluator.enter();
    let flow: Flow = 'next';
    for (const node of block) {
      if (isStatement(node)) flow = this.#statement(node, scope, out);
      else this.#write(this.#evaluator.evaluate(node, scope), out);
      if (flow !== 'next') break;
    }
    this.#evaluator.leave();
    return flow;
  }

  #write(value: Value, out: TextBuilder): void {
    const text = print(value, this.#budget);
    this.#budget.spendChars(charsOf(text).length);
    out.add(text);
  }

  #statement(node: Statement, scope: Scope, out: TextBuilder): Flow {
    this.#budget.spend(1);
    switch (node.type) {
      case 'Comment':
        return 'next';
      case 'Break':
        return 'break';
      case 'Continue':
        return 'continue';
      case 'If':
        return this.#block(isTrue(this.#evaluator.evaluate(node.test, scope)) ? node.body : node.alternate, scope, out);
      case 'For':
        return this.#for(node, scope, out);
      case 'Set':
        this.#set(node, scope);
        return 'next';
      case 'Macro':
        scope.set(node.name.value, this.#macro(node.name.value, node.args, node.body, scope));
        return 'next';
      case 'CallStatement':
        this.#write(this.#callBlock(node, scope), out);
        return 'next';
      case 'FilterStatement':
        this.#write(this.#evaluator.filter(node.filter, this.run(node.body, new Scope(scope)), scope), out);
        return 'next';
    }
  }

  #for({ loopvar, iterable, body, defaultBlock }: ForNode, scope: Scope, out: TextBuilder): Flow {
    const select = iterable.type === 'SelectExpression' ? iterable : undefined;
    const all = iterate(this.#evaluator.evaluate(select?.lhs ?? iterable, scope), this.#budget);
    const passes = (item: Value, test: Expression): boolean =>
      isTrue(this.#evaluator.evaluate(test, this.#scopeOf(loopvar, item, scope)));
    const items = select === undefined ? all : all.filter((item) => passes(item, select.test));
    const loop = new Loop(items, this.#budget);
    // As in Jinja2, an iteration that is left by `continue` does not count here.
    let isEmpty = true;
    for (const [round, item] of items.entries()) {
      loop.round = round;
      const inner = this.#scopeOf(loopvar, item, scope);
      inner.set('loop', loop);
      const flow = this.#block(body, inner, out);
      if (flow === 'break') break;
      if (flow === 'next') isEmpty = false;
    }
    return isEmpty ? this.#block(defaultBlock, new Scope(scope), out) : 'next';
  }

  /** The scope of a loop's iteration. */
  #scopeOf(loopvar: Expression, item: Value, scope: Scope): Scope {
    this.#budget.spend(1);
    const inner = new Scope(scope);
    this.#assign(loopvar, item, inner);
    return inner;
  }

  #set({ assignee, value, body }: SetNode, scope: Scope): void {
    if (value !== null) return this.#assign(assignee, this.#evaluator.evaluate(value, scope), scope);
    const filters: FilterName[] = [];
    let target = assignee;
    for (; target.type === 'FilterExpression'; target = target.operand) filters.unshift(target.filter);
    const text = this.run(body, new Scope(scope));
    return this.#assign(target, filters.reduce<Value>((written, filter) => this.#evaluator.filter(filter, written, scope), text), scope);
  }

  #assign(target: Expression, value: Value, scope: Scope): void {
    if (target.type === 'Identifier') {
      scope.set(target.value, value);
    } else if (target.type === 'TupleLiteral') {
      const items = iterate(value, this.#budget);
      if (items.length !== target.value.length) {
        throw new TemplateFault(`${target.value.length} values to unpack are expected, there are ${items.length}`);
      }
      for (const [i, part] of target.value.entries()) this.#assign(part, items[i] ?? null, scope);
    } else if (target.type === 'MemberExpression' && target.property.type === 'Identifier') {
      const object = this.#evaluator.evaluate(target.object, scope);
      if (!(object instanceof Namespace)) throw new TemplateFault('cannot assign attribute on non-namespace object');
      object.attributes.set(target.property.value, value);
    } else {
      throw new TemplateFault(`a ${target.type} cannot be assigned to`);
    }
  }

  /** A macro sees the names around its definition, not those around its call. */
  #macro(name: string, parameters: readonly Parameter[], body: Block, scope: Scope): Callable {
    return new Callable(
      name,
      (args) => {
        const special = this.#specialNames.get(body) ?? specialNames(body, this.#budget);
        this.#specialNames.set(body, special);
        const inner = new Scope(scope);
        const evaluate = (node: Expression): Value => this.#evaluator.evaluate(node, inner);
        bindParameters(`'${name}'`, parameters, special, args, inner, evaluate, this.#budget);
        return this.run(body, inner);
      },
      true,
    );
  }

  #callBlock({ call, callerArgs, body }: CallBlockNode, scope: Scope): Value {
    const caller = this.#macro('caller', callerArgs ?? [], body, scope);
    return this.#evaluator.call(call, scope, [['caller', caller]]);
  }
}
