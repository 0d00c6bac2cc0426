import type { ModelRunnerOutput, SchedulerOutput } from '../../src/core/scheduler-output.ts';

/** The tiny tokenizer's letters, a to z. */
const [FIRST_ID, NUM_IDS] = [100, 26];

/**
 * What a runner without a model says: letters, each of which follows from the one before it, its position and the seed, so
 * that a token twice, or one too few, changes all that come after.
 */
export function lettersAfter({ requests }: SchedulerOutput): ModelRunnerOutput {
  const sampled = requests.map(({ requestId, tokenIds, startPosition, sampling }) => {
    const position = startPosition + tokenIds.length;
    return [requestId, [FIRST_ID + (((tokenIds.at(-1) ?? 0) * 31 + position * 7 + sampling.seed) % NUM_IDS)]] as const;
  });
  return { sampledTokenIds: new Map(sampled) };
}
