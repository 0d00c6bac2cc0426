import type { Turn } from './conversation.ts';
import { titleOf } from './conversation.ts';
import { safeMarkdown } from './safe-markdown.ts';

export type ExportFormat = 'markdown' | 'json';

/** A conversation as a file. */
export interface ExportedChat {
  readonly fileName: string;
  readonly type: string;
  readonly text: string;
}

/** @param model what answered, in people's words; `undefined` where none is loaded @param at milliseconds since 1970 */
export function exportChat(turns: readonly Turn[], format: ExportFormat, model: string | undefined, at: number): ExportedChat {
  const date = new Date(at).toISOString();
  const stem = `chat-${date.slice(0, 16).replace(/[T:]/g, '-')}`;
  if (format === 'markdown') {
    return { fileName: `${stem}.md`, type: 'text/markdown', text: toMarkdown(turns) };
  }
  const messages = turns.map((turn) => turn.role === 'user' ? { role: turn.role, content: turn.content }
    : { role: turn.role, content: turn.content, state: turn.state.kind, ...(turn.stats === undefined ? {} : { timings: turn.stats }) });
  const text = `${JSON.stringify({ title: titleOf(turns), model, exported: date, messages }, null, 2)}\n`;
  return { fileName: `${stem}.json`, type: 'application/json', text };
}

/** Questions as quotations, answers as Markdown. */
function toMarkdown(turns: readonly Turn[]): string {
  const parts = turns.map((turn) => {
    if (turn.role === 'user') return safeMarkdown(turn.content).replace(/^/gm, '> ').replace(/ +$/gm, '');
    const note = { stopped: '*Stopped.*', length: '*Cut at the token limit.*', failed: '*Incomplete.*' }[turn.state.kind as 'stopped'];
    return [safeMarkdown(turn.content.trim()), note].filter((part) => part).join('\n\n');
  });
  return `# ${titleOf(turns).replace(/[\\`*_[\]<>#]/g, '\\$&')}\n\n${parts.join('\n\n')}\n`;
}
