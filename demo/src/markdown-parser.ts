import { Marked, type Token, type Tokens } from 'marked';

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);

/** Markdown as a model writes it. HTML in it is shown as the text that it is; images become links, so nothing is fetched. */
const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escapeHtml(text),
    image: ({ href, text }) => `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`,
    listitem(item) {
      return `<li${item.task ? ' class="task"' : ''}>${this.parser.parse(item.tokens)}</li>`;
    },
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
    code: ({ text, lang }) =>
      `<figure class="code"><figcaption><span>${escapeHtml(languageOf(lang))}</span>` +
      `<button type="button" data-copy aria-label="Copy code">Copy</button></figcaption>` +
      `<pre tabindex="0"><code>${escapeHtml(text)}</code></pre></figure>`,
    table(token) {
      const row = (cells: typeof token.header, tag: string): string =>
        `<tr>${cells.map((cell) => `<${tag}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('')}</tr>`;
      const body = token.rows.map((cells) => row(cells, 'td')).join('');
      return `<div class="table"><table><thead>${row(token.header, 'th')}</thead><tbody>${body}</tbody></table></div>`;
    },
  },
});

/** The name over a code block. @param info what stands behind its fence */
export function languageOf(info: string | undefined): string {
  return (info ?? '').trim().split(/\s/)[0] || 'code';
}

/** A line of quotations and list items in one another, deeper than anybody writes. The parser recurses into each. */
const DEEP = /^(?:[ \t]*(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))){64}/m;

/** The top-level tokens of a text. A part that is too deep for the parser, or that it fails on, stays text. */
export function lex(text: string): Token[] {
  try {
    if (DEEP.test(text)) throw new RangeError('The text nests too deep.');
    return marked.lexer(text);
  } catch {
    const parts = text.split(/(?<=\n[ \t]*\n)(?=\S)/);
    return parts.length === 1 ? [{ type: UNPARSED, raw: text }] : parts.flatMap(lex);
  }
}

/** A token as HTML that is not safe yet. */
export function toHtml(token: Token): string {
  return marked.parser([token]).trim();
}

const UNPARSED = 'unparsed';
/** Whether the parser has failed on it. */
export const isUnparsed = ({ type }: Token): boolean => type === UNPARSED;
export const isCode = (token: Token): token is Tokens.Code => token.type === 'code';
export const isList = (token: Token): token is Tokens.List => token.type === 'list';
/** Whether it shows: not space between blocks, nor where a link leads. */
export const isVisible = ({ type }: Token): boolean => type !== 'space' && type !== 'def';
