import type { CompletionUsage } from '../api/completion-types.ts';
import type { FinishFrame } from '../core/frames.ts';
import type { RequestTimings } from '../core/metrics.ts';

/**
 * A completion's usage, in OpenAI's words: each prompt counts once, whatever the number of its choices.
 *
 * @param finishes of all choices, by index
 * @param perPrompt how many of them each prompt has
 */
export function usageOf(finishes: readonly FinishFrame[], perPrompt: number, timings: RequestTimings): CompletionUsage {
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  const firsts = finishes.filter((_, index) => index % perPrompt === 0);
  const promptTokens = sum(firsts.map((finish) => finish.promptTokens));
  const completionTokens = sum(finishes.map((finish) => finish.completionTokens));
  // The later choices find the prompt in the cache, where the first one has put it.
  const cached = firsts.map((_, prompt) => {
    const choices = finishes.slice(prompt * perPrompt, (prompt + 1) * perPrompt);
    return Math.min(...choices.map(({ cachedTokens }) => cachedTokens));
  });
  return {
    prompt_tokens: promptTokens,
    prompt_tokens_details: { cached_tokens: sum(cached) },
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    tabserve: timings,
  };
}
