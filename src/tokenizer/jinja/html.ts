import { type TemplateBudget } from './budget.ts';
import { type AnyText, isSafeText, mapParts } from './text.ts';

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' };

/** A text as MarkupSafe escapes it, which leaves safe text unchanged; at most five times as long. */
export function escapeHtml(text: AnyText, budget: TemplateBudget): AnyText {
  if (isSafeText(text)) return text;
  return mapParts(text, (chars) => chars.replace(/[&<>'"]/g, (character) => ENTITIES[character] ?? ''), budget);
}
