import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { blocksFor, generate, loadWhole, readLogits, step, TestSequence } from '../support/gpu-runner.ts';
import type { SequenceOptions, StepShares } from '../support/gpu-runner.ts';
import { createRandom } from '../support/random.ts';
import { tinyModel } from '../support/tiny-model.ts';

// A row's numbers do not depend on what else its step computes. One layer at SmolLM2's own sizes, and a prompt over
// three of attention's splits of 128 tokens; its last position has seen everything before it.
const LENGTH = 264;
const GENERATED = 16;
const random = createRandom(11);
const PROMPT = Array.from({ length: LENGTH }, () => 3 + random.below(500));
const SAMPLING = { temperature: 0.8, seed: 77, choice: 1 } as const;

const SMOLLM2 = { preset: 'smollm2', type: 'mixed', seed: 3 } as const;
/** Floats and QK-norm. */
const QWEN3 = { preset: 'qwen3', type: 'BF16', vocabSize: 512, seed: 3 } as const;

describe.each([
  { model: SMOLLM2, kernels: 'subgroup', subgroups: true, kvCacheDtype: 'f32' },
  { model: SMOLLM2, kernels: 'baseline', subgroups: false, kvCacheDtype: 'f32' },
  { model: SMOLLM2, kernels: 'subgroup', subgroups: true, kvCacheDtype: 'int8' },
  { model: QWEN3, kernels: 'subgroup', subgroups: true, kvCacheDtype: 'f32' },
] as const)('$model.preset with $kernels kernels, $kvCacheDtype KV', ({ model, subgroups, kvCacheDtype }) => {
  let loaded: LoadedRunner;
  /** What the prompt's last position gives when it is fed alone and at once. */
  let alone: Uint32Array;
  /** What is sampled after it, alone, one step a plan. */
  let sampledAlone: readonly number[];

  beforeAll(async () => {
    const limits = { maxNumBatchedTokens: 384, maxNumSeqs: 8, maxStepsPerPlan: 4 };
    loaded = await loadWhole(tinyModel(model), { subgroups, kvCacheDtype, limits });
    const sequence = sequenceOf({ sampling: SAMPLING });
    await step(loaded, [[sequence, LENGTH]]);
    alone = await lastBits(1);
    sampledAlone = [sequence.tokenIds[LENGTH] ?? NaN, ...(await generate(loaded, sequence, GENERATED - 1))];
  }, 120_000);
  afterAll(() => loaded?.destroy());

  function sequenceOf(options: Partial<SequenceOptions> = {}): TestSequence {
    const { slot = 0, tokenIds = PROMPT } = options;
    return new TestSequence({ tokenIds, blockTable: blocksFor(loaded.scheduler, slot, 400), ...options });
  }

  /** The bits of the logits of the last step's last sample. */
  async function lastBits(samples: number): Promise<Uint32Array> {
    const last = (await readLogits(loaded, samples)).at(-1);
    return new Uint32Array(last?.buffer ?? new ArrayBuffer(0));
  }

  /** Feeds the prompt, in the last place of each step. */
  async function feedBeside(sequence: TestSequence, chunk: number, others: () => StepShares): Promise<Uint32Array> {
    for (;;) {
      const plan = await step(loaded, [...others(), [sequence, chunk]]);
      if (plan.requests.at(-1)?.samples === true)
        return lastBits(plan.requests.filter(({ samples }) => samples).length);
    }
  }

  test('there is something to compare', () => {
    expect(new Set(alone).size).toBeGreaterThan(500);
    expect(new Set(sampledAlone).size).toBeGreaterThan(3);
  });

  test.each([1, 5, 7, 16, 32])('a prompt in chunks of %i', async (chunk) => {
    expect(await feedBeside(sequenceOf({ slot: 2 }), chunk, () => [])).toEqual(alone);
  });

  test('among others that prefill and decode at other lengths', async () => {
    const decoding = sequenceOf({ slot: 6, tokenIds: PROMPT.slice(0, 45).toReversed() });
    const ahead = sequenceOf({ slot: 1, tokenIds: [...PROMPT.toReversed(), ...PROMPT.slice(0, 40)] });
    const prefilling = sequenceOf({ slot: 4, tokenIds: PROMPT.slice(7) });
    await step(loaded, [[decoding, 45]]);
    await step(loaded, [[ahead, 339]]);
    const bits = await feedBeside(sequenceOf({ slot: 3 }), 29, () => [
      [decoding, 1],
      [prefilling, 13],
      [ahead, 1],
    ]);
    expect(bits).toEqual(alone);
  });

  test('after preemption: all tokens again, in other blocks that held another’s, in other chunks', async () => {
    const first = sequenceOf({ slot: 5 });
    await generate(loaded, first, 20);
    const bits = await lastBits(1);
    const blockTable = blocksFor(loaded.scheduler, 1, 400).toReversed();
    await generate(loaded, sequenceOf({ slot: 0, tokenIds: PROMPT.toReversed(), blockTable }), 1);
    // The last token sampled was not fed yet.
    const again = sequenceOf({ slot: 7, tokenIds: first.tokenIds.slice(0, -1), blockTable: blockTable.toReversed() });
    expect(await feedBeside(again, 64, () => [])).toEqual(bits);
    expect(again.tokenIds).toEqual(first.tokenIds);
  });

  test('eight that decode at once sample what each samples alone', async () => {
    const sequences = Array.from({ length: 8 }, (_, slot) => {
      // Of other lengths, but the last, which is the one that ran alone.
      return sequenceOf({ slot, tokenIds: PROMPT.slice(0, slot === 7 ? LENGTH : 20 + 37 * slot), sampling: SAMPLING });
    });
    for (const sequence of sequences) await step(loaded, [[sequence, LENGTH]]);
    const before = sequences.map(({ tokenIds }) => tokenIds.length);
    for (let i = 1; i < GENERATED; i++)
      await step(
        loaded,
        sequences.map((sequence) => [sequence, 1] as const),
      );
    expect(sequences[7]?.tokenIds.slice(LENGTH)).toEqual(sampledAlone);
    const short = sequenceOf({ slot: 4, tokenIds: PROMPT.slice(0, 20), sampling: SAMPLING });
    expect(await generate(loaded, short, GENERATED)).toEqual(sequences[0]?.tokenIds.slice(20));
    expect(sequences.map(({ tokenIds }) => tokenIds.length)).toEqual(before.map((length) => length + GENERATED - 1));
  });

  test('four steps a plan sample what single steps do', async () => {
    const sequences = [
      sequenceOf({ slot: 2, sampling: SAMPLING }),
      sequenceOf({ slot: 0, tokenIds: PROMPT.slice(0, 30) }),
    ];
    const single = sequenceOf({ slot: 1, tokenIds: PROMPT.slice(0, 30) });
    for (const sequence of sequences) await step(loaded, [[sequence, LENGTH]]);
    for (let i = 1; i < GENERATED; i += 4) {
      await step(
        loaded,
        sequences.map((sequence) => [sequence, 1] as const),
        Math.min(4, GENERATED - i),
      );
    }
    expect(sequences[0]?.tokenIds.slice(LENGTH)).toEqual(sampledAlone);
    expect(sequences[1]?.tokenIds.slice(30)).toEqual(await generate(loaded, single, GENERATED));
  });

  test('seed and choice matter, so that equal samples mean something', async () => {
    for (const change of [{ seed: 78 }, { choice: 2 }]) {
      const other = sequenceOf({ slot: 0, sampling: { ...SAMPLING, ...change } });
      expect(await generate(loaded, other, GENERATED)).not.toEqual(sampledAlone);
    }
  });
});
