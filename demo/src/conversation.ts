import type { ModelInfo, RequestTimings } from '../../src/index.ts';
import { parseResumePoint, type ResumePoint } from './continuation.ts';
import { isRecord } from './is-record.ts';
import { isProblem, type Problem } from './problems.ts';

/** The cost of one answer, measured in this tab. */
export interface AnswerStats extends RequestTimings {
  readonly tokens: number;
}

/** The model that wrote an answer. */
export interface AnswerModel {
  /** As the client's {@link ModelInfo} has it. */
  readonly id: string;
  /** Its display name. */
  readonly name: string;
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
  /** Unknown of answers that earlier releases kept. */
  readonly model?: AnswerModel;
  readonly stats?: AnswerStats;
  /** Of one that has not come to its end. */
  readonly resume?: ResumePoint;
}

export type Turn = UserTurn | AnswerTurn;

export function isRunning(turn: Turn | undefined): boolean {
  return turn?.role === 'assistant' && (turn.state.kind === 'waiting' || turn.state.kind === 'streaming');
}

/** Whether an answer was ended before its end, and can go on by a model. */
export function isContinuable({ state, model, resume }: AnswerTurn, { id, maxModelLen }: Pick<ModelInfo, 'id' | 'maxModelLen'>): boolean {
  const wasEnded = state.kind === 'stopped' || state.kind === 'length' || state.kind === 'failed';
  if (!wasEnded || model?.id !== id || resume === undefined) return false;
  return resume.promptTokenIds.length + resume.tokenIds.length < maxModelLen;
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

const TITLE_LENGTH = 60;

/** A conversation's title: the beginning of its first question. */
export function titleOf(turns: readonly Turn[]): string {
  const first = turns.find(({ role }) => role === 'user')?.content.replace(/\s+/g, ' ').trim() ?? '';
  return first.length > TITLE_LENGTH ? `${first.slice(0, TITLE_LENGTH).trimEnd()}…` : first || 'Empty chat';
}

/**
 * Turns out of a storage that anybody may have written to; `undefined` where it holds anything else. An answer that ran
 * when it was stored has been stopped since.
 */
export function parseTurns(value: unknown): readonly Turn[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const turns = value.map(parseTurn);
  return turns.every((turn) => turn !== undefined) ? turns : undefined;
}

const KINDS: ReadonlySet<unknown> = new Set(['waiting', 'streaming', 'done', 'length', 'stopped']);

function parseTurn(value: unknown): Turn | undefined {
  if (!isRecord(value)) return undefined;
  const { role, id, content, state, model, stats } = value;
  const resume = typeof content === 'string' ? parseResumePoint(value['resume'], content) : undefined;
  if (typeof id !== 'string' || typeof content !== 'string') return undefined;
  if (role === 'user') return { role, id, content };
  const parsed = parseState(state);
  if (role !== 'assistant' || parsed === undefined) return undefined;
  const figures = { ...(isStats(stats) ? { stats } : {}), ...(resume === undefined ? {} : { resume }) };
  return { role, id, content, state: parsed, ...(isModel(model) ? { model } : {}), ...figures };
}

function parseState(state: unknown): AnswerState | undefined {
  if (!isRecord(state)) return undefined;
  const { kind, problem } = state;
  if (kind === 'failed') return isProblem(problem) ? { kind, problem } : undefined;
  if (!KINDS.has(kind)) return undefined;
  return kind === 'waiting' || kind === 'streaming' ? { kind: 'stopped' } : { kind: kind as 'done' };
}

function isModel(model: unknown): model is AnswerModel {
  return isRecord(model) && typeof model['id'] === 'string' && typeof model['name'] === 'string';
}

function isStats(stats: unknown): stats is AnswerStats {
  if (!isRecord(stats) || typeof stats['tokens'] !== 'number') return false;
  return Object.values(stats).every((value) => typeof value === 'number' || value === undefined || value === null);
}
