import DOMPurify from 'dompurify';
import { Marked } from 'marked';

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
    code: ({ text, lang }) => {
      const language = (lang ?? '').split(/\s/)[0] ?? '';
      return `<figure class="code"><figcaption><span>${escapeHtml(language || 'code')}</span>` +
        `<button type="button" data-copy>Copy</button></figcaption>` +
        `<pre tabindex="0"><code>${escapeHtml(text)}</code></pre></figure>`;
    },
    table(token) {
      const row = (cells: typeof token.header, tag: string): string =>
        `<tr>${cells.map((cell) => `<${tag}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('')}</tr>`;
      const body = token.rows.map((cells) => row(cells, 'td')).join('');
      return `<div class="table"><table><thead>${row(token.header, 'th')}</thead><tbody>${body}</tbody></table></div>`;
    },
  },
});

const purify = DOMPurify();
purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer nofollow');
});

const SANITISE = {
  ALLOWED_TAGS: [
    'p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'strong', 'em', 'del', 'code',
    'pre', 'a', 'div', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'figure', 'figcaption', 'button', 'span',
  ],
  ALLOWED_ATTR: ['href', 'title', 'class', 'start', 'type', 'data-copy', 'tabindex'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
};

/** One top-level block: a paragraph, a list, a code block. */
export interface Block {
  /** Its Markdown. */
  readonly raw: string;
  /** Safe to put into the page. */
  readonly html: string;
}

/**
 * Markdown as blocks of safe HTML. Blocks that are as they were in `previous` are taken from there, so that a growing
 * text costs no more than its last block to render.
 */
export function renderBlocks(text: string, previous: readonly Block[] = []): readonly Block[] {
  const tokens = marked.lexer(text).filter((token) => token.type !== 'space' && token.type !== 'def');
  return tokens.map((token, index) => {
    const before = previous[index];
    if (before?.raw === token.raw) return before;
    return { raw: token.raw, html: purify.sanitize(marked.parser([token]).trim(), SANITISE) };
  });
}
