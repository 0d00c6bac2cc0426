import type { Client } from '../../src/client/client.ts';
import type { ChatMessageParam } from '../../src/api/chat-types.ts';
import type { CompletionUsage } from '../../src/api/completion-types.ts';
import type { RequestTimes } from './figures.ts';

export interface Question {
  readonly messages: readonly ChatMessageParam[];
  /** @default until the context is full */
  readonly maxTokens?: number;
  /** Only requests of the same salt share their prompts' KV: one of its own keeps the prefix cache from flattering. */
  readonly salt: string;
  readonly signal?: AbortSignal;
  /** Called as each piece of text comes, with the page's clock. */
  readonly onText?: (now: number, text: string) => void;
}

export function userSays(content: string): readonly ChatMessageParam[] {
  return [{ role: 'user', content }];
}

/** Asks, greedily, and reads the answer to its end, noting when each piece of text came. It never rejects. */
export async function timeRequest(client: Client, question: Question): Promise<RequestTimes> {
  const { messages, maxTokens, salt, signal, onText } = question;
  const textMs: number[] = [];
  let usage: CompletionUsage | undefined;
  const sentAt = performance.now();
  const times = (error?: string): RequestTimes => ({
    sentAt,
    textMs,
    endMs: performance.now() - sentAt,
    promptTokens: usage?.prompt_tokens ?? 0,
    cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
    outputTokens: usage?.completion_tokens ?? 0,
    ...(error === undefined ? {} : { error }),
  });
  try {
    const limit = maxTokens === undefined ? {} : { max_tokens: maxTokens };
    const body = { messages, ...limit, temperature: 0, stream: true, tabserve: { cache_salt: salt } } as const;
    const stream = await client.chat.completions.create(body, { signal });
    for await (const { choices } of stream) {
      const text = choices[0]?.delta.content ?? '';
      if (text === '') continue;
      const now = performance.now();
      textMs.push(now - sentAt);
      onText?.(now, text);
    }
    if (!stream.aborted) usage = stream.usage;
    return times();
  } catch (error) {
    return times(String(error));
  }
}

/** Its times, or what it failed with. */
export async function requireAnswer(asked: Promise<RequestTimes>): Promise<RequestTimes> {
  const times = await asked;
  if (times.error !== undefined) throw new Error(`A request failed: ${times.error}`);
  return times;
}

/** The page's clock at each piece of text. */
export function textTimes({ sentAt, textMs }: RequestTimes): readonly number[] {
  return textMs.map((ms) => sentAt + ms);
}
