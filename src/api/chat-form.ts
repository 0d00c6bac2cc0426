import type { ChatCompletion, ChatCompletionChunk } from './chat-types.ts';
import type { ChunkForm, CompletionForm, CompletionHeader } from './completion-form.ts';
import type { CompletionFinishReason, CompletionUsage } from './completion-types.ts';

type Choice = ChatCompletionChunk['choices'][number];

/** Answers as OpenAI's chat completions. */
export const CHAT_FORM: CompletionForm<ChatCompletionChunk, ChatCompletion> = {
  id: (unique) => `chatcmpl-${unique}`,
  chunks: chatChunks,
  whole: ({ id, created, model }, answers, usage) => ({
    id,
    object: 'chat.completion',
    created,
    model,
    choices: answers.map(({ text, finishReason }, index) => ({
      index,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: null,
      finish_reason: finishReason,
    })),
    usage,
  }),
};

function chatChunks({ id, created, model }: CompletionHeader, includeUsage: boolean): ChunkForm<ChatCompletionChunk> {
  const chunk = (choices: readonly Choice[], usage: CompletionUsage | null = null): ChatCompletionChunk => {
    return { id, object: 'chat.completion.chunk', created, model, choices, ...(includeUsage ? { usage } : {}) };
  };
  const one = (index: number, delta: Choice['delta'], reason: CompletionFinishReason | null = null): ChatCompletionChunk =>
    chunk([{ index, delta, logprobs: null, finish_reason: reason }]);
  return {
    opening: (index) => one(index, { role: 'assistant', content: '' }),
    text: (index, content) => one(index, { content }),
    finish: (index, reason) => one(index, {}, reason),
    usage: (usage) => chunk([], usage),
  };
}
