import type { ChatRequest, TextRequest } from './contract.ts';
import { isRecord } from './is-record.ts';

/** The parameters by which an answer is drawn. */
export type Sampling = Omit<ChatRequest, 'messages' | 'stream'>;

/** From where an answer can go on: its tokens so far, and how they were drawn. */
export interface ResumePoint {
  readonly promptTokenIds: readonly number[];
  readonly tokenIds: readonly number[];
  /** How much of the answer's text they are, in UTF-16 units; what came after is drawn anew, and is the same. */
  readonly length: number;
  /** `max_tokens` is of the whole answer. */
  readonly sampling: Sampling;
}

/** How to go on with an answer. */
export interface Continuation {
  readonly request: TextRequest;
  /** Tokens of the answer that are part of the request's prompt. */
  readonly tokenIds: readonly number[];
  /** How much of the text comes again. */
  readonly skip: number;
  /** As before, with the limit that holds from here on. */
  readonly sampling: Sampling;
}

/**
 * The request that an answer goes on with: the same tokens come as if it had not been ended, since a draw depends on the seed
 * and the place alone. Stop texts, and penalties of what the answer has, also depend on the answer's own tokens, which a
 * prompt's are not: there the answer is drawn from its beginning, up to where it was.
 *
 * @param isCut whether the answer was ended by its limit, and gets another one
 */
export function continuationOf({ promptTokenIds, tokenIds, length, sampling }: ResumePoint, isCut: boolean): Continuation {
  const { stop, presence_penalty = 0, frequency_penalty = 0 } = sampling;
  const needsAll = stop !== undefined || presence_penalty !== 0 || frequency_penalty !== 0;
  const kept = needsAll ? [] : tokenIds;
  const max_tokens = isCut ? tokenIds.length + sampling.max_tokens : sampling.max_tokens;
  const rest = Math.max(1, max_tokens - kept.length);
  return {
    request: { ...sampling, max_tokens: rest, prompt: [...promptTokenIds, ...kept], stream: true },
    tokenIds: kept,
    skip: needsAll ? length : 0,
    sampling: { ...sampling, max_tokens },
  };
}

/** A place to go on from out of a storage that anybody may have written to; `undefined` where it is none. */
export function parseResumePoint(value: unknown, content: string): ResumePoint | undefined {
  if (!isRecord(value)) return undefined;
  const { promptTokenIds, tokenIds, length, sampling } = value;
  const hasTokens = isIds(promptTokenIds) && promptTokenIds.length > 0 && isIds(tokenIds);
  if (!hasTokens || typeof length !== 'number' || !(length >= 0 && length <= content.length)) return undefined;
  return isSampling(sampling) ? { promptTokenIds, tokenIds, length, sampling } : undefined;
}

function isIds(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((id) => Number.isInteger(id) && (id as number) >= 0);
}

/** Whether it has what every request has; the engine checks the values. */
function isSampling(value: unknown): value is Sampling {
  if (!isRecord(value) || !['temperature', 'seed', 'max_tokens'].every((name) => typeof value[name] === 'number')) return false;
  const { stop, ...numbers } = value;
  const isStop = stop === undefined || (Array.isArray(stop) && stop.every((text) => typeof text === 'string'));
  return isStop && Object.values(numbers).every((number) => typeof number === 'number');
}
