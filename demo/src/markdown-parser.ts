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

/** The top-level tokens of a text. */
export function lex(text: string): Token[] {
  return marked.lexer(text);
}

/** A token as HTML that is not safe yet. */
export function toHtml(token: Token): string {
  return marked.parser([token]).trim();
}

export const isCode = (token: Token): token is Tokens.Code => token.type === 'code';
export const isList = (token: Token): token is Tokens.List => token.type === 'list';
/** Whether it shows: not space between blocks, nor where a link leads. */
export const isVisible = ({ type }: Token): boolean => type !== 'space' && type !== 'def';
