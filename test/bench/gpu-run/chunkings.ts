import { blocksFor } from '../../../demo/bench/models/block-tables.ts';
import type { ScheduledRequest } from '../../../src/core/scheduler-output.ts';
import type { LoadedRunner } from '../../../src/runner/load-runner.ts';
import { readWords } from '../../support/read-words.ts';

/** More than one split of attention. */
const PROMPT_TOKENS = 150;
/** Tokens a chunk; the prompt as a whole, or in the largest chunks that there are, is compared with each. */
const CHUNKS = [1, 7, 32];

/** Whether a prompt leaves the same bits in the KV cache, and the same first token, in whatever chunks it is read. */
export async function comparePromptChunks(loaded: LoadedRunner): Promise<{ readonly wrong: readonly number[]; readonly compared: readonly number[] }> {
  const whole = Math.min(PROMPT_TOKENS, loaded.scheduler.maxNumBatchedTokens);
  const compared = [whole, ...CHUNKS.filter((chunk) => chunk < whole)];
  const expected = await bitsOf(loaded, whole);
  const wrong: number[] = [];
  for (const chunk of compared.slice(1)) {
    const found = await bitsOf(loaded, chunk);
    if (found.length !== expected.length || found.some((word, i) => word !== expected[i])) wrong.push(chunk);
  }
  return { wrong, compared };
}

/** All words of the KV cache after the prompt, which was cleared before it; and the token sampled. */
async function bitsOf(loaded: LoadedRunner, chunk: number): Promise<Uint32Array> {
  const { device, runner, scheduler, config } = loaded;
  const buffers = runner.state.cache.flatMap(({ keys, values }) => [keys, values]);
  const encoder = device.createCommandEncoder();
  for (const buffer of buffers) encoder.clearBuffer(buffer);
  device.queue.submit([encoder.finish()]);
  const blockTable = blocksFor(scheduler, 0, PROMPT_TOKENS + 1);
  let sampled = -1;
  for (let from = 0; from < PROMPT_TOKENS; from += chunk) {
    const to = Math.min(PROMPT_TOKENS, from + chunk);
    const tokenIds = Array.from({ length: to - from }, (_, i) => (1 + (from + i) * 7) % config.vocabSize);
    const request: ScheduledRequest = {
      requestId: '0', slot: 0, tokenIds, startPosition: from, blockTable, samples: to === PROMPT_TOKENS,
      sampling: { temperature: 0, seed: 0, choice: 0 },
    };
    const { sampledTokenIds } = await runner.execute({ numSteps: 1, requests: [request], totalNumScheduledTokens: tokenIds.length });
    sampled = sampledTokenIds.get('0')?.[0] ?? sampled;
  }
  if (sampled < 0) throw new Error('the prompt sampled no token');
  const words = await readWords(device, buffers);
  if (!words.some((word) => word !== 0)) throw new Error('the prompt wrote nothing to the KV cache');
  const all = new Uint32Array(1 + words.length);
  all[0] = sampled;
  all.set(words, 1);
  return all;
}
