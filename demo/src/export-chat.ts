import type { AnswerTurn, Turn } from './conversation.ts';
import { titleOf } from './conversation.ts';
import { safeMarkdown } from './safe-markdown.ts';

export type ExportFormat = 'markdown' | 'json';

/** A conversation as a file. */
export interface ExportedChat {
  readonly fileName: string;
  readonly type: string;
  readonly text: string;
}

/** @param at milliseconds since 1970 */
export function exportChat(turns: readonly Turn[], format: ExportFormat, at: number): ExportedChat {
  const date = new Date(at).toISOString();
  const stem = `chat-${date.slice(0, 16).replace(/[T:]/g, '-')}`;
  if (format === 'markdown') {
    return { fileName: `${stem}.md`, type: 'text/markdown', text: toMarkdown(turns) };
  }
  const messages = turns.map((turn) => turn.role === 'user' ? { role: turn.role, content: turn.content }
    : { role: turn.role, content: turn.content, state: turn.state.kind, model: turn.model?.name, timings: turn.stats });
  const text = `${JSON.stringify({ title: titleOf(turns), exported: date, messages }, null, 2)}\n`;
  return { fileName: `${stem}.json`, type: 'application/json', text };
}

/** Questions as quotations, answers as Markdown. */
function toMarkdown(turns: readonly Turn[]): string {
  const parts = turns.map((turn) => {
    if (turn.role === 'user') return safeMarkdown(turn.content).replace(/^/gm, '> ').replace(/ +$/gm, '');
    return [safeMarkdown(turn.content.trim()), note(turn)].filter((part) => part !== '').join('\n\n');
  });
  return `# ${escaped(titleOf(turns))}\n\n${parts.join('\n\n')}\n`;
}

const ENDINGS: Readonly<Partial<Record<AnswerTurn['state']['kind'], string>>> = {
  stopped: 'Stopped.', length: 'Cut at the token limit.', failed: 'Incomplete.',
};

/** The model that wrote an answer, and why the answer ended early, if it did. */
function note({ model, state }: AnswerTurn): string {
  const parts = [model === undefined ? '' : `${escaped(model.name)}.`, ENDINGS[state.kind] ?? ''].filter((part) => part !== '');
  return parts.length === 0 ? '' : `*${parts.join(' ')}*`;
}

/** Text that means no Markdown. */
const escaped = (text: string): string => text.replace(/[\\`*_[\]<>#]/g, '\\$&');
