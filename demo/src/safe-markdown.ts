import type { Token, Tokens } from 'marked';
import { isCode, isList, isUnparsed, lex } from './markdown-parser.ts';

/**
 * Markdown as this page shows it, for other programs that show Markdown: they would take HTML in it for HTML, and fetch its
 * images. So `<` becomes `&lt;` outside code, images become links, and code gets a fence that nothing inside it can close.
 */
export function safeMarkdown(text: string): string {
  return blocks(lex(text), '\n\n');
}

function blocks(tokens: readonly Token[], separator: string): string {
  return tokens.filter(({ type }) => type !== 'space').map(block).join(separator);
}

function block(token: Token): string {
  if (isCode(token)) return fenced(token);
  if (isList(token)) return token.items.map((item, i) => listItem(item, token, i)).join(token.loose ? '\n\n' : '\n');
  if (token.type === 'blockquote') return blocks((token as Tokens.Blockquote).tokens, '\n\n').replace(/^/gm, '> ');
  const raw = token.raw.trim();
  return isUnparsed(token) || token.type === 'html' ? withoutHtml(raw) : outsideCode(raw, withoutHtml);
}

function fenced({ text, lang }: Tokens.Code): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${(lang ?? '').replaceAll('`', '')}\n${text}\n${fence}`;
}

function listItem(item: Tokens.ListItem, { ordered, start, loose }: Tokens.List, index: number): string {
  const marker = ordered ? `${Number(start) + index}. ` : '- ';
  const check = item.task ? `[${item.checked ? 'x' : ' '}] ` : '';
  const text = blocks(item.tokens.filter(({ type }) => type !== 'checkbox'), loose ? '\n\n' : '\n');
  return marker + (check + text).replace(/\n(?=[^\n])/g, `\n${' '.repeat(marker.length)}`);
}

function withoutHtml(text: string): string {
  return text.replaceAll('<', '&lt;').replace(/!+(?=\[)/g, '');
}

/** Changes a text outside its code spans. Where a reader could see other spans than we do, it has none. */
function outsideCode(text: string, change: (part: string) => string): string {
  const lines = text.split('\n').map((line) => line.split(/(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)/));
  // A span of several lines, a cell of a table or an escaped backtick: after them it is not sure what is inside of what.
  const isUnsure = /\\`|\|/.test(text) || lines.some((parts) => parts.some((part, i) => i % 3 === 0 && part.includes('`')));
  if (isUnsure) return change(text);
  return lines.map((parts) => parts.map((part, i) => {
    if (i % 3 === 0) return change(part);
    return i % 3 === 1 ? '' : `${parts[i - 1]}${part}${parts[i - 1]}`;
  }).join('')).join('\n');
}
