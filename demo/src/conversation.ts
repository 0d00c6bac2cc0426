import type { RequestTimings } from '../../src/index.ts';
import type { Problem } from './problems.ts';

/** What one answer cost, measured in this tab. */
export interface AnswerStats extends RequestTimings {
  readonly tokens: number;
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface UserTurn {
  readonly role: 'user';
  readonly id: string;
  readonly content: string;
}

/** `stopped`: by the user, or by a reload of the page. `length`: the token limit or the context was reached. */
export type AnswerState =
  | { readonly kind: 'waiting' | 'streaming' | 'done' | 'length' | 'stopped' }
  | { readonly kind: 'failed'; readonly problem: Problem };

export interface AnswerTurn {
  readonly role: 'assistant';
  readonly id: string;
  readonly content: string;
  readonly state: AnswerState;
  readonly stats?: AnswerStats;
}

export type Turn = UserTurn | AnswerTurn;

export function isRunning(turn: Turn | undefined): boolean {
  return turn?.role === 'assistant' && (turn.state.kind === 'waiting' || turn.state.kind === 'streaming');
}

/**
 * The messages to send: a question whose answer never began is left out with it, since chat templates expect the roles
 * to alternate; a partial answer stays, as the user read it. The last question, still unanswered, is kept.
 */
export function toMessages(turns: readonly Turn[], systemPrompt: string): ChatMessage[] {
  const messages: ChatMessage[] = systemPrompt.trim() === '' ? [] : [{ role: 'system', content: systemPrompt }];
  turns.forEach((turn, index) => {
    const next = turns[index + 1];
    const unanswered = turn.role === 'user' && next?.role === 'assistant' && next.content === '' && !isRunning(next);
    if (!unanswered && turn.content !== '') messages.push({ role: turn.role, content: turn.content });
  });
  return messages;
}

const STORAGE_KEY = 'tabserve.conversation';

/** Keeps the conversation through a reload of this tab. A browser that refuses storage loses it, and nothing else. */
export function saveConversation(storage: Pick<Storage, 'setItem'>, turns: readonly Turn[]): void {
  try {
    storage.setItem(STORAGE_KEY, JSON.stringify(turns));
  } catch {
    // Full or forbidden: the conversation lives on in memory.
  }
}

export function restoreConversation(storage: Pick<Storage, 'getItem'>): readonly Turn[] {
  try {
    const turns = JSON.parse(storage.getItem(STORAGE_KEY) ?? '[]') as readonly Turn[];
    return turns.map((turn) =>
      turn.role === 'assistant' && isRunning(turn) ? { ...turn, state: { kind: 'stopped' } } : turn);
  } catch {
    return [];
  }
}
