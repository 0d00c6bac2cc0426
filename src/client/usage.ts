import type { CompletionUsage } from '../api/completion-types.ts';
import type { RequestTimings } from '../core/metrics.ts';
import type { TokenCounts } from './request-frames.ts';

/**
 * A completion's usage, in OpenAI's words: each prompt counts once, whatever the number of its choices.
 *
 * @param counts of all choices, by index
 * @param perPrompt how many of them each prompt has
 */
export function usageOf(counts: readonly TokenCounts[], perPrompt: number, timings: RequestTimings): CompletionUsage {
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  const firsts = counts.filter((_, index) => index % perPrompt === 0);
  const promptTokens = sum(firsts.map((count) => count.promptTokens));
  const completionTokens = sum(counts.map((count) => count.completionTokens));
  const cachedTokens = counts.map((count) => count.cachedTokens);
  // The later choices find the prompt in the cache, where the first one has put it.
  const cached = firsts.map((_, prompt) => Math.min(...known(cachedTokens.slice(prompt * perPrompt, (prompt + 1) * perPrompt))));
  return {
    prompt_tokens: promptTokens,
    ...(cachedTokens.includes(undefined) ? {} : { prompt_tokens_details: { cached_tokens: sum(cached) } }),
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    tabserve: timings,
  };
}

function known(numbers: readonly (number | undefined)[]): readonly number[] {
  return numbers.filter((number) => number !== undefined);
}
