import { type Environment, Interpreter } from '@huggingface/jinja';
import { type TemplateBudget, TemplateLimit, type TemplateValue } from './template-budget.ts';

type Statement = NonNullable<Parameters<Interpreter['evaluate']>[0]>;

/** A node of a template's syntax tree; which fields it has follows from its type. */
interface Node extends Statement {
  readonly operator?: { readonly value: string };
  readonly value?: string;
  readonly left?: Node;
  readonly right?: Node;
  readonly operand?: Node;
  readonly object?: Node;
  readonly property?: Node;
  readonly iterable?: Node;
  readonly lhs?: Node;
  readonly argument?: Node;
  readonly filter?: Node;
  readonly callee?: Node;
  readonly args?: readonly Node[];
  readonly body?: readonly Node[];
}

/** A node whose value is known. */
class Evaluated {
  readonly type = 'Evaluated';
  readonly result: TemplateValue;

  constructor(result: TemplateValue) {
    this.result = result;
  }
}

/** Nested expressions, blocks and macro calls; known templates have twenty at most. */
const MAX_DEPTH = 200;
/** Steps of one round of a loop. */
const ROUND = 4;
/** Steps of a name that nobody has defined: it is looked for in every scope, and ends as an exception. */
const UNDEFINED = 16;
/** A sort looks at each text this often, at most. */
const SORT = 32;

/**
 * Jinja within a budget. A template comes with the file, so it may be written to take forever, and nothing can interrupt
 * a synchronous interpreter; so each step counts, and operands are evaluated first, and what the operation will make of
 * them is counted before it begins. No operation takes longer than the product of its operands' sizes.
 */
export class BudgetedInterpreter extends Interpreter {
  readonly #budget: TemplateBudget;
  readonly #sourceChars: number;
  #depth = 0;
  /** The node whose value is only looked into, so that its size costs nothing. */
  #operand: Node | undefined;

  /** @param sourceChars the length of the template, which bounds its syntax tree */
  constructor(environment: Environment, budget: TemplateBudget, sourceChars: number) {
    super(environment);
    this.#budget = budget;
    this.#sourceChars = sourceChars;
  }

  override evaluate(statement: Statement | undefined, environment: Environment): TemplateValue {
    if (statement instanceof Evaluated) return statement.result;
    if (statement === undefined) return super.evaluate(statement, environment);
    const node = statement as Node;
    const isOperand = node === this.#operand;
    this.#operand = undefined;
    this.#budget.spend(1);
    if (++this.#depth > MAX_DEPTH) throw new TemplateLimit(`it nests deeper than ${MAX_DEPTH}`);
    try {
      const value = this.#evaluateNode(node, environment);
      if (value.type === 'UndefinedValue') this.#budget.spend(UNDEFINED);
      if (!isOperand) this.#budget.spendChars(this.#budget.sizeOf(value));
      return value;
    } finally {
      this.#depth--;
    }
  }

  #evaluateNode(node: Node, environment: Environment): TemplateValue {
    switch (node.type) {
      case 'BinaryExpression':
        return this.#evaluateBinary(node, environment);
      case 'FilterExpression':
        return this.#applyFilter(node, this.#evaluateOperand(node.operand, environment), environment);
      case 'FilterStatement': {
        const body = super.evaluate({ ...node, type: 'Program' }, environment);
        return this.#applyFilter({ ...node, type: 'FilterExpression' }, body, environment);
      }
      case 'TestExpression': {
        const operand = this.#evaluateOperand(node.operand, environment);
        if (operand.type === 'StringValue') this.#budget.spendChars(this.#budget.sizeOf(operand));
        return super.evaluate({ ...node, operand: new Evaluated(operand) } as Statement, environment);
      }
      case 'MemberExpression':
        return this.#evaluateMember(node, environment);
      case 'For':
        return this.#evaluateFor(node, environment);
      case 'Macro':
      case 'CallStatement':
        this.#budget.spend(this.#sourceChars / 16); // its body is searched for special names
        return super.evaluate(node, environment);
      default:
        return super.evaluate(node, environment);
    }
  }

  #evaluateOperand(node: Node | undefined, environment: Environment): TemplateValue {
    this.#operand = node;
    return this.evaluate(node, environment);
  }

  #evaluateBinary(node: Node, environment: Environment): TemplateValue {
    const operator = node.operator?.value ?? '';
    if (operator === 'and' || operator === 'or') return super.evaluate(node, environment);
    const left = this.#evaluateOperand(node.left, environment);
    const right = this.#evaluateOperand(node.right, environment);
    const [leftSize, rightSize] = [this.#budget.sizeOf(left), this.#budget.sizeOf(right)];
    const searches = operator.endsWith('in') && left.type === 'StringValue' && right.type === 'StringValue';
    this.#budget.spendChars(searches ? leftSize * rightSize : leftSize + rightSize);
    const operands = { left: new Evaluated(left), right: new Evaluated(right) };
    return super.evaluate({ ...node, ...operands } as Statement, environment);
  }

  #applyFilter(node: Node, operand: TemplateValue, environment: Environment): TemplateValue {
    const filter = node.filter as Node;
    const name = filter.callee?.value ?? filter.value ?? '';
    const values: TemplateValue[] = [];
    const args = filter.args?.map((arg) => this.#evaluateArgument(arg, environment, values));
    const passes = name.endsWith('sort') ? SORT : 1;
    if (name !== 'length') this.#spendProduct(operand, values, passes);
    const evaluated = args === undefined ? filter : { ...filter, args };
    return super.evaluate({ ...node, operand: new Evaluated(operand), filter: evaluated } as Statement, environment);
  }

  /** An argument with its value known, which is added to `values`; filters want to see string literals as they are. */
  #evaluateArgument(arg: Node, environment: Environment, values: TemplateValue[]): Node {
    const field = arg.type === 'KeywordArgumentExpression' ? 'value' : 'argument';
    const isWrapped = arg.type.endsWith('SpreadExpression') || arg.type === 'KeywordArgumentExpression';
    const inner = (isWrapped ? arg[field] : arg) as Node;
    const value = this.evaluate(inner, environment);
    values.push(value);
    if (isWrapped) return { ...arg, [field]: new Evaluated(value) };
    return arg.type === 'StringLiteral' ? arg : (new Evaluated(value) as Statement);
  }

  /** What a method or filter may look at: its subject, once for each character of the arguments (or as often as they say). */
  #spendProduct(subject: TemplateValue, args: readonly TemplateValue[], passes = 1): void {
    const times = args.reduce(
      (sum, arg) => sum + (typeof arg.value === 'number' ? Math.abs(arg.value) : this.#budget.sizeOf(arg)),
      passes,
    );
    this.#budget.spendChars(this.#budget.sizeOf(subject) * times);
  }

  #evaluateMember(node: Node, environment: Environment): TemplateValue {
    const object = this.#evaluateOperand(node.object, environment);
    if (node.property?.type === 'SliceExpression') this.#budget.spend(lengthOf(object));
    const member = super.evaluate({ ...node, object: new Evaluated(object) } as Statement, environment);
    if (member.type !== 'FunctionValue') return member;
    type Call = (args: TemplateValue[], scope: Environment) => TemplateValue;
    const call = member.value as Call;
    const counted: Call = (args, scope) => {
      this.#spendProduct(object, args, object.type === 'StringValue' ? 1 : SORT);
      return call(args, scope);
    };
    return new (member.constructor as new (call: Call) => TemplateValue)(counted);
  }

  #evaluateFor(node: Node, environment: Environment): TemplateValue {
    const filtered = node.iterable?.type === 'SelectExpression' ? node.iterable : undefined;
    const items = this.#evaluateOperand(filtered?.lhs ?? node.iterable, environment);
    this.#budget.spend(ROUND * lengthOf(items));
    const iterable = filtered === undefined ? new Evaluated(items) : { ...filtered, lhs: new Evaluated(items) };
    return super.evaluate({ ...node, iterable } as Statement, environment);
  }
}

/** Characters, elements or keys. */
function lengthOf({ value }: TemplateValue): number {
  if (value instanceof Map) return value.size;
  return Array.isArray(value) || typeof value === 'string' ? value.length : 0;
}
