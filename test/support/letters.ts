import type { ModelRunnerOutput, SchedulerOutput } from '../../src/core/scheduler-output.ts';

/** The tiny tokenizer's letters, a to z. */
const [FIRST_ID, NUM_IDS] = [100, 26];

/**
 * The output of a runner without a model: letters, each of which depends on the one before it, its position and the
 * seed, so that a duplicate or missing token changes all later ones.
 */
export function lettersAfter({ requests }: SchedulerOutput): ModelRunnerOutput {
  const sampled = requests.map(({ requestId, tokenIds, startPosition, sampling }) => {
    const position = startPosition + tokenIds.length;
    return [requestId, [FIRST_ID + (((tokenIds.at(-1) ?? 0) * 31 + position * 7 + sampling.seed) % NUM_IDS)]] as const;
  });
  return { sampledTokenIds: new Map(sampled) };
}
