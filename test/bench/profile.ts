import type { ProfileOptions, StepProfile } from '../../src/core/profile.ts';
import type { BenchContext } from '../../demo/bench/bench-context.ts';
import type { ProfileFigures } from '../../demo/bench/figures.ts';
import { requireAnswer, timeRequest, userSays } from '../../demo/bench/time-request.ts';
import { promptOf } from '../../demo/bench/workload.ts';

/** No step takes so long. */
const TIMEOUT_MS = 60_000;
/** Words of what is answered while decode steps are profiled. */
const FEW = 4;

/** The adapter's ceilings, and where the GPU's time goes in steps of one request that decodes, and of prompts. */
export async function measureProfile(context: BenchContext): Promise<ProfileFigures> {
  const { decodeSteps, prefillSteps, promptTokens } = context.sizes.profile;
  console.log('profile: the ceilings');
  const limits = await context.client.limits();
  console.log(`profile: ${decodeSteps} decode steps`);
  const decode = await profileWhile(context, { steps: decodeSteps, phase: 'decode' }, FEW, decodeSteps + 1);
  console.log(`profile: ${prefillSteps} prefill steps`);
  const words = context.words(promptTokens, 1);
  return { limits, decode, prefill: await profileWhile(context, { steps: prefillSteps, phase: 'prefill' }, words, 1) };
}

/** Asks one question after the other until the profile is there. */
async function profileWhile(
  context: BenchContext,
  options: ProfileOptions,
  words: number,
  maxTokens: number,
): Promise<StepProfile> {
  let isThere = false;
  const profile = context.client.profile({ ...options, timeoutMs: TIMEOUT_MS });
  const settled = profile.then(() => (isThere = true), () => (isThere = true));
  for (let seed = 0; !isThere; seed++) {
    const question = { messages: userSays(promptOf(seed, words)), maxTokens, salt: context.salt() };
    const answered = requireAnswer(timeRequest(context.client, question));
    await Promise.race([answered, settled]);
    await answered;
  }
  return profile;
}
