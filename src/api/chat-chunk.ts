import type { ChatCompletion, ChatCompletionChunk, ChatFinishReason, CompletionUsage } from './chat-types.ts';

/** What all chunks of one answer share. */
export interface ChunkHeader {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  /** Whether the caller asked for a usage chunk; all the others then carry `usage: null`. */
  readonly includeUsage: boolean;
}

/** An OpenAI completion id from any unique string. */
export function chatCompletionId(unique: string): string {
  return `chatcmpl-${unique}`;
}

type Choice = ChatCompletionChunk['choices'][number];

function chunk(header: ChunkHeader, choices: readonly Choice[], usage: CompletionUsage | null): ChatCompletionChunk {
  const { id, created, model, includeUsage } = header;
  return { id, object: 'chat.completion.chunk', created, model, choices, ...(includeUsage ? { usage } : {}) };
}

function choice(index: number, delta: Choice['delta'], finishReason: ChatFinishReason | null): Choice {
  return { index, delta, logprobs: null, finish_reason: finishReason };
}

/** The chunk that opens a choice. */
export function roleChunk(header: ChunkHeader, index: number): ChatCompletionChunk {
  return chunk(header, [choice(index, { role: 'assistant', content: '' }, null)], null);
}

export function contentChunk(header: ChunkHeader, index: number, content: string): ChatCompletionChunk {
  return chunk(header, [choice(index, { content }, null)], null);
}

/** The chunk that ends a choice. */
export function finishChunk(header: ChunkHeader, index: number, finishReason: ChatFinishReason): ChatCompletionChunk {
  return chunk(header, [choice(index, {}, finishReason)], null);
}

/** The chunk after the last choice has ended; sent only where `stream_options.include_usage` asks for it. */
export function usageChunk(header: ChunkHeader, usage: CompletionUsage): ChatCompletionChunk {
  return chunk(header, [], usage);
}

/** A whole answer; `choices` by index. */
export function chatCompletion(
  header: Omit<ChunkHeader, 'includeUsage'>,
  choices: readonly { readonly content: string; readonly finishReason: ChatFinishReason }[],
  usage: CompletionUsage,
): ChatCompletion {
  return {
    id: header.id,
    object: 'chat.completion',
    created: header.created,
    model: header.model,
    choices: choices.map(({ content, finishReason }, index) => ({
      index,
      message: { role: 'assistant', content, refusal: null },
      logprobs: null,
      finish_reason: finishReason,
    })),
    usage,
  };
}
