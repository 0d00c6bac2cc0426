import { type Token } from './source.ts';

/**
 * Syntax of Jinja2 that the library's parser lacks, rewritten as filters. Their names contain spaces, so no template
 * can use them.
 */
export const TUPLE_FILTER = 'as a tuple';
/** Keeps `(a == b) == c` from being parsed as `a == b == c`, which means something else in Python. */
export const GROUP_FILTER = 'in parentheses';
/** `is NAME` and `is not NAME`, with arguments. */
const TEST_PREFIX = 'is ';
const NEGATED_TEST_PREFIX = 'is not ';

/** The test that a filter's name encodes; undefined for a filter. */
export function testOfFilter(name: string): { readonly test: string; readonly negated: boolean } | undefined {
  if (name.startsWith(NEGATED_TEST_PREFIX)) return { test: name.slice(NEGATED_TEST_PREFIX.length), negated: true };
  return name.startsWith(TEST_PREFIX) ? { test: name.slice(TEST_PREFIX.length), negated: false } : undefined;
}

const OPENING: ReadonlySet<string> = new Set(['OpenParen', 'OpenSquareBracket', 'OpenCurlyBracket']);
const CLOSING: ReadonlySet<string> = new Set(['CloseParen', 'CloseSquareBracket', 'CloseCurlyBracket']);
/** Words after which a parenthesis begins a group, not a call. */
const KEYWORDS: ReadonlySet<string> = new Set(['and', 'else', 'elif', 'if', 'in', 'is', 'not', 'or', 'set']);
const LITERALS: ReadonlySet<string> = new Set(['StringLiteral', 'NumericLiteral', 'OpenSquareBracket', 'OpenCurlyBracket']);

const token = (type: Token['type'], value: string): Token => ({ type, value });
const OPEN = token('OpenParen', '(');
const CLOSE = token('CloseParen', ')');
const asFilter = (name: string): readonly Token[] => [token('Pipe', '|'), token('Identifier', name)];

/** The tokens of a template in a form that the library's parser understands. */
export function extendTokens(tokens: readonly Token[]): Token[] {
  return new Extension(tokens).extended();
}

class Extension {
  readonly #tokens: readonly Token[];
  /** The index of the closing bracket for each opening one. */
  readonly #closing = new Map<number, number>();
  readonly #before = new Map<number, Token[]>();
  readonly #after = new Map<number, Token[]>();
  readonly #dropped = new Set<number>();
  /** The index of the `in` of the last `for`: the tokens before it are not a comparison. */
  #targetEnd = -1;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    const open: number[] = [];
    for (const [place, { type }] of tokens.entries()) {
      if (OPENING.has(type)) open.push(place);
      if (!CLOSING.has(type)) continue;
      const start = open.pop();
      if (start !== undefined) this.#closing.set(start, place);
    }
  }

  extended(): Token[] {
    for (const place of this.#tokens.keys()) {
      if (this.#isWord(place, 'is') && this.#type(place - 1) !== 'Dot') this.#extendTest(place);
      if (this.#type(place) === 'OpenParen' && !this.#isCall(place)) this.#extendGroup(place);
      if (this.#type(place) === 'OpenStatement' && this.#isWord(place + 1, 'for')) this.#extendFor(place + 2);
      if (this.#type(place) === 'OpenExpression') this.#wrapTuple(place + 1, this.#skip(place + 1, 'CloseExpression'));
    }
    return this.#tokens.flatMap((kept, place) => [
      ...(this.#before.get(place) ?? []),
      ...(this.#dropped.has(place) ? [] : [kept]),
      ...(this.#after.get(place) ?? []),
    ]);
  }

  #type(place: number): string | undefined {
    return this.#tokens[place]?.type;
  }

  #isWord(place: number, ...words: readonly string[]): boolean {
    const found = this.#tokens[place];
    return found?.type === 'Identifier' && words.includes(found.value);
  }

  #isCall(place: number): boolean {
    const before = this.#tokens[place - 1];
    if (before?.type === 'Identifier') return this.#type(place - 2) === 'Dot' || !KEYWORDS.has(before.value);
    return before?.type === 'CloseParen' || before?.type === 'CloseSquareBracket';
  }

  #put(where: Map<number, Token[]>, place: number, tokens: readonly Token[]): void {
    where.set(place, [...(where.get(place) ?? []), ...tokens]);
  }

  /** `x is eq('y')`, `x is divisibleby 3`: as `x | "is eq"('y')`. */
  #extendTest(place: number): void {
    const negated = this.#isWord(place + 1, 'not');
    const name = place + (negated ? 2 : 1);
    const test = this.#tokens[name];
    if (test?.type !== 'Identifier') return;
    const hasArguments = this.#type(name + 1) === 'OpenParen';
    const argumentEnd = hasArguments ? undefined : this.#argumentEnd(name + 1);
    if (!hasArguments && argumentEnd === undefined) return;
    for (let i = place; i <= name; i++) this.#dropped.add(i);
    this.#put(this.#before, place, asFilter((negated ? NEGATED_TEST_PREFIX : TEST_PREFIX) + test.value));
    if (argumentEnd === undefined) return;
    this.#put(this.#before, name + 1, [OPEN]);
    this.#put(this.#after, argumentEnd, [CLOSE]);
  }

  /** The index of the last token of a test's single argument without parentheses; undefined where there is none. */
  #argumentEnd(place: number): number | undefined {
    const first = this.#tokens[place];
    const begins = first?.type === 'Identifier' ? !KEYWORDS.has(first.value) && !/^(for|recursive)$/.test(first.value) : LITERALS.has(first?.type ?? '');
    if (!begins) return undefined;
    let end = this.#closing.get(place) ?? place;
    for (;;) {
      const next = this.#type(end + 1);
      if (next === 'Dot') end += 2;
      else if (next === 'OpenParen' || next === 'OpenSquareBracket') end = this.#closing.get(end + 1) ?? end + 1;
      else if (next === 'StringLiteral' && this.#type(end) === 'StringLiteral') end++;
      else return end;
    }
  }

  /** `(a,)` and `()`, which are tuples, and a group that is compared. */
  #extendGroup(open: number): void {
    const close = this.#closing.get(open);
    if (close === undefined) return;
    const endsInComma = this.#type(close - 1) === 'Comma';
    if (close === open + 1 || (endsInComma && this.#commas(open + 1, close) === 1)) {
      if (endsInComma) this.#dropped.add(close - 1);
      this.#put(this.#after, open, [token('OpenSquareBracket', '[')]);
      this.#put(this.#before, close, [token('CloseSquareBracket', ']'), ...asFilter(TUPLE_FILTER)]);
    } else if (endsInComma) this.#dropped.add(close - 1);
    const isCompared = this.#type(close + 1) === 'ComparisonBinaryOperator' || (open > this.#targetEnd && this.#isWord(close + 1, 'in', 'not'));
    const isLoopedOver = this.#isWord(open - 1, 'in') && (this.#isWord(close + 1, 'if') || this.#type(close + 1) === 'CloseStatement');
    if (isCompared || isLoopedOver) this.#put(this.#after, close, asFilter(GROUP_FILTER));
  }

  /** The number of commas in a range, outside brackets. */
  #commas(from: number, end: number): number {
    let count = 0;
    for (let place = from; place < end; place++) {
      if (this.#type(place) === 'Comma') count++;
      place = this.#closing.get(place) ?? place;
    }
    return count;
  }

  #extendFor(start: number): void {
    this.#targetEnd = this.#skip(start, 'CloseStatement', 'in');
    this.#wrapTuple(this.#targetEnd + 1, this.#skip(this.#targetEnd + 1, 'CloseStatement', 'if'));
  }

  /** The index of the next token of a type, or the next such word, outside brackets. */
  #skip(start: number, type: Token['type'], word = ''): number {
    let place = start;
    while (place < this.#tokens.length && this.#type(place) !== type && !this.#isWord(place, word)) {
      place = (this.#closing.get(place) ?? place) + 1;
    }
    return place;
  }

  /** `for x in 1, 2` as `for x in (1, 2)`; `{{ 1, 2 }}` alike. */
  #wrapTuple(first: number, end: number): void {
    if (this.#commas(first, end) === 0) return;
    this.#put(this.#before, first, [OPEN]);
    this.#put(this.#before, end, [CLOSE]);
  }
}
