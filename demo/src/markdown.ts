import DOMPurify from 'dompurify';
import type { Token } from 'marked';
import { GrowingMarkdown } from './growing-markdown.ts';
import { toHtml } from './markdown-parser.ts';

const purify = DOMPurify();
purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer nofollow');
  }
  // Each block in the direction of its own text; code is written from left to right in every language.
  if (node.tagName === 'CODE' || node.tagName === 'FIGURE') node.setAttribute('dir', 'ltr');
  else if (node.parentElement?.tagName === 'BODY') node.setAttribute('dir', 'auto');
});

const SANITISE = {
  ALLOWED_TAGS: [
    'p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'strong', 'em', 'del', 'code',
    'pre', 'a', 'div', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'figure', 'figcaption', 'button', 'span',
  ],
  ALLOWED_ATTR: ['href', 'title', 'class', 'start', 'type', 'data-copy', 'tabindex', 'aria-label'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
};

const toSafeHtml = (token: Token): string => purify.sanitize(toHtml(token), SANITISE);

/** A text of a model's, as blocks that are safe to put into the page. */
export function createMarkdown(): GrowingMarkdown {
  return new GrowingMarkdown(toSafeHtml);
}
