import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ScheduledRequest } from '../../src/core/scheduler-output.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { blocksFor, generate, loadBytes, readLogits, step, TestSequence } from '../support/gpu-runner.ts';
import type { SequenceOptions } from '../support/gpu-runner.ts';
import { createRandom } from '../support/random.ts';
import { adjustedLogits, fixedPointThreshold } from '../support/sampling-references.ts';
import { tinyModel } from '../support/tiny-model.ts';

// One request, one text, with every sampling parameter: whoever shares the step, in plans of several steps, in another
// slot that held another's counts, and computed again after preemption.
const LENGTH = 24;
const GENERATED = 24;
const random = createRandom(12);
const PROMPT = Array.from({ length: LENGTH }, () => 3 + random.below(40));
const SAMPLING: ScheduledRequest['sampling'] = {
  temperature: 0.9,
  seed: 77,
  choice: 1,
  topK: 30,
  topP: 0.6,
  minP: 0.12,
  repetitionPenalty: 1.4,
  frequencyPenalty: 0.4,
  presencePenalty: 0.5,
  logitBias: [[60, 3], [61, 3], [PROMPT[0] ?? 0, -100]],
};

let loaded: LoadedRunner;
let alone: readonly number[];
beforeAll(async () => {
  const limits = { maxNumBatchedTokens: 64, maxNumSeqs: 8, maxStepsPerPlan: 4 };
  loaded = await loadBytes(tinyModel({ preset: 'smollm2', type: 'mixed', seed: 3 }), { limits });
  alone = await generate(loaded, sequenceOf(), GENERATED);
}, 120_000);
afterAll(() => loaded?.destroy());

function sequenceOf(options: Partial<SequenceOptions> = {}): TestSequence {
  const { slot = 0, tokenIds = PROMPT } = options;
  return new TestSequence({ tokenIds, blockTable: blocksFor(loaded.scheduler, slot, 100), sampling: SAMPLING, ...options });
}

/** As above, but for some parameters. */
function sampledWith(change: Partial<ScheduledRequest['sampling']>): TestSequence {
  return sequenceOf({ slot: 2, sampling: { ...SAMPLING, ...change } });
}

test('every parameter matters here, so that equal samples mean something', async () => {
  const changes = { topK: 2, topP: 1, minP: 0, repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 0, logitBias: [] };
  expect(new Set(alone).size).toBeGreaterThan(8);
  for (const [param, value] of Object.entries(changes)) {
    expect(await generate(loaded, sampledWith({ [param]: value }), GENERATED), param).not.toEqual(alone);
  }
});

test('eight at once, each with parameters of its own', async () => {
  const own: Partial<ScheduledRequest['sampling']>[] = [
    {}, { topK: 2, topP: 1 }, { temperature: 0 }, { topK: 0, topP: 1, minP: 0 }, { repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 },
    { logitBias: [], topP: 0.9 }, { topK: 0, minP: 0, repetitionPenalty: 0.5 }, { temperature: 2, topP: 1 },
  ];
  const texts: (readonly number[])[] = [];
  for (const change of own) texts.push(await generate(loaded, sampledWith(change), GENERATED));
  expect(texts[0]).toEqual(alone);
  const strings = texts.map(String);
  expect(strings.map((text) => strings.indexOf(text)), 'no two alike').toEqual([...own.keys()]);
  const batch = own.map((change, i) => sequenceOf({ slot: 7 - i, sampling: { ...SAMPLING, ...change } }));
  while (batch.some(({ numPending }) => numPending > 1)) {
    for (const sequence of batch) if (sequence.numPending > 1) await step(loaded, [[sequence, LENGTH]]);
  }
  for (let i = 1; i < GENERATED; i++) await step(loaded, batch.map((sequence) => [sequence, 1] as const));
  expect(batch.map(({ tokenIds }) => tokenIds.slice(LENGTH))).toEqual(texts);
});

test('plans of four steps: penalties know the tokens that were sampled within the plan', async () => {
  const sequence = sequenceOf({ slot: 5 });
  const other = sequenceOf({ slot: 1, tokenIds: PROMPT.toReversed(), sampling: { ...SAMPLING, topK: 3, presencePenalty: -1 } });
  for (const each of [sequence, other]) await step(loaded, [[each, LENGTH]]);
  for (let i = 1; i < GENERATED; i += 4) await step(loaded, [[other, 1], [sequence, 1]], Math.min(4, GENERATED - i));
  expect(sequence.tokenIds.slice(LENGTH)).toEqual(alone);
  const single = sequenceOf({ tokenIds: PROMPT.toReversed(), sampling: { ...SAMPLING, topK: 3, presencePenalty: -1 } });
  expect(other.tokenIds.slice(LENGTH)).toEqual(await generate(loaded, single, GENERATED));
});

test.each([1, 9, 20])('preempted after %i tokens, and computed again in a slot that was another’s', async (done) => {
  await generate(loaded, sequenceOf({ slot: 6, tokenIds: PROMPT.map((id) => id + 1) }), 5);
  const again = sequenceOf({ slot: 6, tokenIds: [...PROMPT, ...alone.slice(0, done)], numPromptTokens: LENGTH });
  expect([...alone.slice(0, done), ...(await generate(loaded, again, GENERATED - done, 13))]).toEqual(alone);
});

describe('what is drawn', () => {
  test('is what the references keep of the model’s own logits, at every step', async () => {
    const plain = sequenceOf({ slot: 3, sampling: { temperature: 0 } });
    const sequence = sequenceOf({ slot: 4 });
    for (let i = 0; i < GENERATED; i++) {
      // The same tokens without any parameter: the raw logits.
      await step(loaded, [[plain, LENGTH]]);
      const [raw] = await readLogits(loaded, 1);
      await step(loaded, [[sequence, LENGTH]]);
      const [adjusted] = await readLogits(loaded, 1);
      if (raw === undefined || adjusted === undefined) throw new Error('no logits');
      const output = sequence.tokenIds.slice(LENGTH, -1);
      const expected = adjustedLogits(raw, SAMPLING, { prompt: PROMPT, output });
      const furthest = Math.max(...expected.map((value, token) => Math.abs(value - (adjusted[token] ?? NaN))));
      expect(furthest, `step ${i}`).toBeLessThan(1e-4);
      const drawn = sequence.tokenIds.at(-1) ?? NaN;
      expect(adjusted[drawn]).toBeGreaterThanOrEqual(fixedPointThreshold(adjusted, SAMPLING));
      plain.tokenIds[plain.tokenIds.length - 1] = drawn;
    }
    expect(sequence.tokenIds.slice(LENGTH)).toEqual(alone);
  });
});
