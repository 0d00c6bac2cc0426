import { parse } from '@huggingface/jinja';
import { TemplateFault } from './errors.ts';
import { extendTokens } from './syntax-extensions.ts';
import { tokenizeTemplate } from './source.ts';

/*
 * The nodes of the library's syntax tree, distinguished by their `type`. The names are the library's, whose version
 * is pinned for that reason.
 */

export type Expression =
  | { readonly type: 'IntegerLiteral'; readonly value: number }
  | { readonly type: 'FloatLiteral'; readonly value: number }
  | { readonly type: 'StringLiteral'; readonly value: string }
  | { readonly type: 'ArrayLiteral'; readonly value: readonly Expression[] }
  | { readonly type: 'TupleLiteral'; readonly value: readonly Expression[] }
  | { readonly type: 'ObjectLiteral'; readonly value: ReadonlyMap<Expression, Expression> }
  | IdentifierNode
  | MemberNode
  | CallNode
  | BinaryNode
  | { readonly type: 'UnaryExpression'; readonly operator: { readonly value: string }; readonly argument: Expression }
  | { readonly type: 'FilterExpression'; readonly operand: Expression; readonly filter: FilterName }
  | { readonly type: 'TestExpression'; readonly operand: Expression; readonly negate: boolean; readonly test: IdentifierNode }
  /** `value if test`, without an else. */
  | { readonly type: 'SelectExpression'; readonly lhs: Expression; readonly test: Expression }
  | { readonly type: 'Ternary'; readonly condition: Expression; readonly trueExpr: Expression; readonly falseExpr: Expression };

export type Statement =
  | { readonly type: 'Break' | 'Continue' | 'Comment' }
  | { readonly type: 'If'; readonly test: Expression; readonly body: Block; readonly alternate: Block }
  | ForNode
  | SetNode
  | { readonly type: 'Macro'; readonly name: IdentifierNode; readonly args: readonly Parameter[]; readonly body: Block }
  | CallBlockNode
  | { readonly type: 'FilterStatement'; readonly filter: FilterName; readonly body: Block };

/** Statements, and expressions whose values are written. */
export type Block = readonly (Statement | Expression)[];

export interface IdentifierNode {
  readonly type: 'Identifier';
  readonly value: string;
}

export interface ForNode {
  readonly type: 'For';
  readonly loopvar: Expression;
  readonly iterable: Expression;
  readonly body: Block;
  readonly defaultBlock: Block;
}

export interface SetNode {
  readonly type: 'Set';
  readonly assignee: Expression;
  /** null where it is the body's text. */
  readonly value: Expression | null;
  readonly body: Block;
}

/** A parameter, with a default or without. */
export type Parameter = IdentifierNode | KeywordNode;

export interface CallBlockNode {
  readonly type: 'CallStatement';
  readonly call: CallNode;
  readonly callerArgs: readonly Parameter[] | null;
  readonly body: Block;
}

export interface MemberNode {
  readonly type: 'MemberExpression';
  readonly object: Expression;
  readonly property: Expression | SliceNode;
  readonly computed: boolean;
}

export interface SliceNode {
  readonly type: 'SliceExpression';
  readonly start?: Expression;
  readonly stop?: Expression;
  readonly step?: Expression;
}

export interface CallNode {
  readonly type: 'CallExpression';
  readonly callee: Expression;
  readonly args: readonly Argument[];
}

export type Argument =
  | Expression
  | KeywordNode
  | { readonly type: 'SpreadExpression'; readonly argument: Expression }
  | { readonly type: 'KeywordSpreadExpression'; readonly argument: Expression };

export interface KeywordNode {
  readonly type: 'KeywordArgumentExpression';
  readonly key: IdentifierNode;
  readonly value: Expression;
}

export interface BinaryNode {
  readonly type: 'BinaryExpression';
  readonly operator: { readonly value: string };
  readonly left: Expression;
  readonly right: Expression;
}

/** A filter's name, or a call with arguments. */
export type FilterName = IdentifierNode | CallNode;

const STATEMENTS: ReadonlySet<string> = new Set<Statement['type']>([
  'Break', 'CallStatement', 'Comment', 'Continue', 'FilterStatement', 'For', 'If', 'Macro', 'Set',
]);

export function isStatement(node: Statement | Expression): node is Statement {
  return STATEMENTS.has(node.type);
}

/** @throws TemplateFault where the template cannot be parsed */
export function parseTemplate(source: string): Block {
  try {
    // The library types a node by its class; here its fields follow from its type.
    const { body } = parse(extendTokens(tokenizeTemplate(source))) as unknown as { body: Block };
    return body;
  } catch (cause) {
    // A RangeError is the parser's own stack overflow.
    if (cause instanceof TemplateFault || cause instanceof RangeError) throw cause;
    throw new TemplateFault(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
