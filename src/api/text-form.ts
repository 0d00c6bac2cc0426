import type { ChunkForm, CompletionForm, CompletionHeader } from './completion-form.ts';
import type { CompletionUsage } from './completion-types.ts';
import type { TextCompletion, TextCompletionChunk } from './text-types.ts';

type Choice = TextCompletionChunk['choices'][number];

/**
 * Answers as OpenAI's text completions.
 *
 * @param echo the text that each choice begins with, by index; '' for none
 */
export function textForm(echo: (index: number) => string): CompletionForm<TextCompletionChunk, TextCompletion> {
  return {
    id: (unique) => `cmpl-${unique}`,
    chunks: (header, includeUsage) => textChunks(header, includeUsage, echo),
    whole: ({ id, created, model }, answers, usage) => ({
      id,
      object: 'text_completion',
      created,
      model,
      choices: answers.map(({ text, finishReason }, index) => ({
        index,
        text: echo(index) + text,
        logprobs: null,
        finish_reason: finishReason,
      })),
      usage,
    }),
  };
}

function textChunks(
  { id, created, model }: CompletionHeader,
  includeUsage: boolean,
  echo: (index: number) => string,
): ChunkForm<TextCompletionChunk> {
  const chunk = (choices: readonly Choice[], usage: CompletionUsage | null = null): TextCompletionChunk => {
    return { id, object: 'text_completion', created, model, choices, ...(includeUsage ? { usage } : {}) };
  };
  const one = (index: number, text: string, reason: Choice['finish_reason'] = null): TextCompletionChunk =>
    chunk([{ index, text, logprobs: null, finish_reason: reason }]);
  return {
    opening: (index) => (echo(index) === '' ? undefined : one(index, echo(index))),
    text: (index, text) => one(index, text),
    finish: (index, reason) => one(index, '', reason),
    usage: (usage) => chunk([], usage),
  };
}
