import type { CompletionUsage } from '../api/chat-types.ts';
import type { FinishFrame } from '../core/frames.ts';
import type { RequestTimings } from '../core/metrics.ts';

/** An answer's usage, in OpenAI's words: the prompt counts once, whatever the number of choices. At least one has finished. */
export function usageOf(finishes: readonly FinishFrame[], timings: RequestTimings): CompletionUsage {
  const promptTokens = finishes[0]?.promptTokens ?? 0;
  const completionTokens = finishes.reduce((sum, finish) => sum + finish.completionTokens, 0);
  return {
    prompt_tokens: promptTokens,
    // The later choices find the prompt in the cache, where the first one has put it.
    prompt_tokens_details: { cached_tokens: Math.min(...finishes.map(({ cachedTokens }) => cachedTokens)) },
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    tabserve: timings,
  };
}
