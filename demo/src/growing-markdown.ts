import type { Token, Tokens } from 'marked';
import { isCode, isList, isUnparsed, isVisible, languageOf, lex } from './markdown-parser.ts';

/** One top-level block. Code and plain text are put into the page as text. */
export type Block =
  | { readonly kind: 'html'; readonly raw: string; readonly html: string }
  | { readonly kind: 'code'; readonly language: string; readonly text: string }
  /** Text that cannot be parsed, or the end of a long block, which is parsed when more of it is there. */
  | { readonly kind: 'text'; readonly text: string };

/** Up to this many characters, an unfinished end of the text is parsed whenever it grows; a longer one now and then. */
const SHORT = 2000;
/** A longer one is parsed again when it has grown by this share: about 16 times its length in all. */
const GROWTH = 1 / 16;
/** From this many characters on, a list is split before its last items. */
const LONG_LIST = 500;
/** How many of its items stay unfinished. */
const OPEN_ITEMS = 2;

interface Fence {
  readonly language: string;
  /** Where its code begins. */
  readonly start: number;
  readonly closing: RegExp;
  /** Where the line begins that is not complete yet. */
  line: number;
}

/**
 * Markdown that grows at its end. Text that cannot change any more is parsed once and kept, so that a token costs the
 * same however long the text before it is.
 *
 * - A block is finished when two more have begun: `para`, newline, `#` is a heading until `#1` makes it a part of the
 *   paragraph, and `2` behind a list is a paragraph until it is `2. `.
 * - Code between fences is shown as text as it comes, and parsed when it is closed.
 * - A long list is split before its last items. Other long blocks are parsed when they have grown by a share.
 */
export class GrowingMarkdown {
  /** Characters lexed and rendered so far: what it has cost. */
  parsedCharacters = 0;
  readonly #toHtml: (token: Token) => string;
  readonly #finished: Block[] = [];
  #finishedEnd = 0;
  #open: readonly Block[] = [];
  /** Where the last parse ended. */
  #parsedEnd = 0;
  #fence: Fence | undefined;
  #whole: { readonly text: string; readonly blocks: readonly Block[] } | undefined;

  /** @param toHtml a block as safe HTML */
  constructor(toHtml: (token: Token) => string) {
    this.#toHtml = toHtml;
  }

  /** The blocks of a text that begins with the one of the call before. */
  grow(text: string): readonly Block[] {
    if (text.length < this.#parsedEnd) this.#reset();
    if (this.#fence !== undefined && this.#closes(text, this.#fence)) {
      this.#fence = undefined;
      this.#parse(text);
    } else if (this.#fence === undefined && this.#isDue(text)) this.#parse(text);
    return [...this.#finished, ...this.#open, ...this.#rest(text)];
  }

  /** The blocks of a complete text, parsed afresh and once: a link's definition may have come after its use. */
  complete(text: string): readonly Block[] {
    if (this.#whole?.text !== text) {
      this.parsedCharacters += text.length;
      this.#whole = { text, blocks: lex(text).filter(isVisible).map((token) => this.#block(token)) };
    }
    return this.#whole.blocks;
  }

  #isDue(text: string): boolean {
    const known = this.#parsedEnd - this.#finishedEnd;
    return text.length - this.#parsedEnd > (known > SHORT ? known * GROWTH : 0);
  }

  #parse(text: string): void {
    const tail = text.slice(this.#finishedEnd);
    this.parsedCharacters += tail.length;
    this.#parsedEnd = text.length;
    const tokens = lex(tail);
    const last = tokens.at(-1);
    const fence = last !== undefined && isCode(last) ? fenceOf(last.raw) : undefined;
    if (last !== undefined && fence !== undefined && !fence.isClosed && tail.endsWith(last.raw)) {
      this.#finish(tokens.slice(0, -1), tail);
      this.#openFence(fence, text);
      return;
    }
    const open = this.#finish(tokens.slice(0, finishedCount(tokens)), tail)
      ? this.#cutList(tokens.slice(finishedCount(tokens)), text) : tokens;
    const before = new Map(this.#open.map((block) => [block.kind === 'html' ? block.raw : '', block]));
    this.#open = open.filter(isVisible).map((token) => before.get(token.raw) ?? this.#block(token));
  }

  /** Keeps what will not change. False, and nothing is kept, where the parser has altered the text (a CR, say). */
  #finish(tokens: readonly Token[], tail: string): boolean {
    const raw = tokens.map((token) => token.raw).join('');
    if (!tail.startsWith(raw)) return false;
    for (const token of tokens) if (isVisible(token)) this.#finished.push(this.#block(token));
    this.#finishedEnd += raw.length;
    return true;
  }

  #openFence({ head, info, closing }: FenceHead, text: string): void {
    const start = Math.min(this.#finishedEnd + head.length, text.length);
    this.#open = [];
    this.#fence = { language: languageOf(info), start, closing, line: start };
  }

  /** Whether the code has ended; looks at new lines only. */
  #closes(text: string, fence: Fence): boolean {
    const end = text.lastIndexOf('\n') + 1;
    const lines = text.slice(fence.line, end);
    fence.line = Math.max(fence.line, end);
    return fence.closing.test(lines);
  }

  #cutList(tokens: Token[], text: string): Token[] {
    const [list] = tokens;
    if (list === undefined || tokens.length > 1 || !isList(list)) return tokens;
    const items = list.items.slice(0, -OPEN_ITEMS);
    if (list.raw.length < LONG_LIST || items.length === 0) return tokens;
    const head: Tokens.List = { ...list, items, raw: items.map(({ raw }) => raw).join('') };
    if (!this.#finish([head], text.slice(this.#finishedEnd))) return tokens;
    return lex(text.slice(this.#finishedEnd));
  }

  #rest(text: string): readonly Block[] {
    const { language, start } = this.#fence ?? {};
    if (start !== undefined && language !== undefined) {
      // A possible start of the closing fence is not shown as code.
      return [{ kind: 'code', language, text: text.slice(start).replace(/\n?(`+|~+)$/, '').replace(/\n$/, '') }];
    }
    const rest = text.slice(this.#parsedEnd);
    return rest.trim() === '' ? [] : [{ kind: 'text', text: rest }];
  }

  #block(token: Token): Block {
    this.parsedCharacters += token.raw.length;
    if (isCode(token)) return { kind: 'code', language: languageOf(token.lang), text: token.text };
    if (isUnparsed(token)) return { kind: 'text', text: token.raw };
    try {
      return { kind: 'html', raw: token.raw, html: this.#toHtml(token) };
    } catch {
      return { kind: 'text', text: token.raw };
    }
  }

  #reset(): void {
    this.#finished.length = 0;
    this.#finishedEnd = 0;
    this.#parsedEnd = 0;
    this.#open = [];
    this.#fence = undefined;
  }
}

interface FenceHead {
  /** The fence's own line. */
  readonly head: string;
  readonly info: string | undefined;
  readonly closing: RegExp;
  readonly isClosed: boolean;
}

/** The fence that a block begins with, once its line is complete. */
function fenceOf(raw: string): FenceHead | undefined {
  const [head, fence, info] = /^(`{3,}|~{3,})([^\n`]*)\n/.exec(raw) ?? [];
  if (head === undefined || fence === undefined) return undefined;
  const closing = new RegExp(`(^|\\n) {0,3}${fence[0]}{${fence.length},}[ \\t]*\\n`);
  return { head, info, closing, isClosed: closing.test(`${raw.slice(head.length)}\n`) };
}

/** How many of the tokens stay as they are, whatever follows. */
function finishedCount(tokens: readonly Token[]): number {
  const visible = tokens.flatMap((token, index) => (isVisible(token) ? [index] : []));
  const last = visible.at(-1);
  if (last === undefined) return 0;
  const { raw } = tokens[last] ?? { raw: '' };
  // A closing fence's line must be complete: more of it may follow.
  const isComplete = raw.endsWith('\n') || last < tokens.length - 1;
  return isComplete && fenceOf(raw)?.isClosed === true ? last + 1 : (visible.at(-2) ?? 0);
}
