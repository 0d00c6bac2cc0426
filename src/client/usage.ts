import type { CompletionUsage } from '../api/chat-types.ts';
import type { FinishFrame } from '../core/frames.ts';
import type { RequestTimings } from '../core/metrics.ts';

/** A finished choice's usage, in OpenAI's words. */
export function usageOf(finish: FinishFrame, timings: RequestTimings): CompletionUsage {
  return {
    prompt_tokens: finish.promptTokens,
    prompt_tokens_details: { cached_tokens: finish.cachedTokens },
    completion_tokens: finish.completionTokens,
    total_tokens: finish.promptTokens + finish.completionTokens,
    tabserve: timings,
  };
}
