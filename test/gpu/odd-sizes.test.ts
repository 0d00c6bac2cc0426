import { afterEach, expect, test } from 'vitest';
import type { ScheduledRequest } from '../../src/core/scheduler-output.ts';
import type { LoadedRunner, LoadRunnerOptions } from '../../src/runner/load-runner.ts';
import { dequantise, quantise } from '../support/ggml-blocks.ts';
import { type GgufContents, writeGguf } from '../support/gguf-writer.ts';
import { blocksFor, generate, loadBytes, logitsOfEveryPosition, readLogits, step, TestSequence } from '../support/gpu-runner.ts';
import { createRandom } from '../support/random.ts';
import { createReferenceModel } from '../support/reference-model.ts';
import { tinyModelContents, type TinyModelOptions } from '../support/tiny-model.ts';

// Sizes that kernels do not take as they are: they are padded, which no result may show.

let loaded: LoadedRunner | undefined;
afterEach(() => loaded?.destroy());

/** Rows, heads together, gates: none is a whole number of groups of 32, and of some not even of words of 4. */
const SMALL = { hiddenSize: 90, intermediateSize: 173, numHeads: 3, numKvHeads: 1, headSize: 20 } as const;

interface Case {
  readonly what: string;
  readonly model: TinyModelOptions;
  readonly load?: Omit<LoadRunnerOptions, 'file'>;
}

const CASES: readonly Case[] = [
  { what: 'F32, 4k + 1 tokens', model: { preset: 'gqa3', type: 'F32', vocabSize: 261, ...SMALL } },
  { what: 'F16, 4k + 2 tokens and a head of their own, QK-norm', model: { preset: 'qwen3', type: 'F16', vocabSize: 262, tied: false, ...SMALL } },
  {
    what: 'quantised but for what is no whole blocks, 4k + 3 tokens, embedding and head in parts of which the last has 3 rows, biases',
    model: { preset: 'qwen2', type: 'mixed', vocabSize: 259, ...SMALL, hiddenSize: 96 },
    load: { maxBindingBytes: 7000 },
  },
];

/** Enough for attention to be merged from two splits. */
const TOKENS = (() => {
  const random = createRandom(7);
  return Array.from({ length: 140 }, () => 3 + random.below(256));
})();
const FROM = 116;

test.each(CASES)('$what: logits and greedy ids are the float64 reference’s', async ({ model, load = {} }) => {
  const contents = tinyModelContents(model);
  loaded = await loadBytes(writeGguf(contents), { limits: { maxNumSeqs: 8 }, ...load });
  const reference = createReferenceModel(contents);
  const logits = await logitsOfEveryPosition(loaded, TOKENS, FROM);
  expect(worstDifference(logits, reference.logits(TOKENS).slice(FROM))).toBeLessThanOrEqual(1e-3);
  const prompt = TOKENS.slice(0, 12);
  const sequence = new TestSequence({ slot: 1, tokenIds: prompt, blockTable: blocksFor(loaded.scheduler, 1, 40) });
  expect(await generate(loaded, sequence, 24)).toEqual(reference.greedy(prompt, 24));
});

/** A model whose logits are all far below 0, which is what padding computes: it would win every draw. */
function gloomyModel(vocabSize: number): GgufContents {
  const contents = tinyModelContents({ preset: 'narrow', type: 'F32', vocabSize, tied: false });
  const changes: readonly (readonly [RegExp, (value: number) => number])[] = [
    [/^token_embd/, (value) => value + 4],
    [/attn_output|ffn_down/, (value) => value / 50],
    [/^output\.weight/, (value) => value / 20 - 0.5],
  ];
  const tensors = contents.tensors.map((tensor) => {
    const change = changes.find(([name]) => name.test(tensor.name))?.[1];
    if (change === undefined) return tensor;
    const values = dequantise('F32', tensor.data, tensor.shape.reduce((a, b) => a * b, 1));
    return { ...tensor, data: quantise('F32', values.map(change)) };
  });
  return { ...contents, tensors };
}

/** Dispatches of a greedy step. */
async function dispatchesOf(contents: GgufContents): Promise<number> {
  loaded = await loadBytes(writeGguf(contents), { limits: { maxNumSeqs: 16 } });
  await step(loaded, [[new TestSequence({ tokenIds: [5], blockTable: blocksFor(loaded.scheduler, 0, 16) }), 1]]);
  return loaded.counters().dispatches;
}

test('what pads a vocabulary is never drawn, however tokens are drawn; its last token can be; no step takes more dispatches', async () => {
  const vocabSize = 261;
  const unpadded = await dispatchesOf(gloomyModel(260));
  loaded?.destroy();
  const contents = gloomyModel(vocabSize);
  expect(await dispatchesOf(contents)).toBe(unpadded);
  const model = loaded;
  if (model === undefined) throw new Error('nothing is loaded');
  const prompt = TOKENS.slice(0, 6);
  const last = vocabSize - 1;
  const ways: readonly Partial<ScheduledRequest['sampling']>[] = [
    {},
    { temperature: 1 },
    { temperature: 100 },
    { temperature: 1, topK: 100_000 },
    { temperature: 1, topK: 3 },
    { temperature: 50, topP: 0.999 },
    { temperature: 1, minP: 0.01 },
    { repetitionPenalty: 1.5, frequencyPenalty: 1, presencePenalty: 1 },
    { temperature: 1, repetitionPenalty: 0.5, topK: vocabSize },
    { logitBias: [[last, 100]] },
    { temperature: 1, topP: 0.5, logitBias: [[last, 100]] },
  ];
  const sequences = ways.map((way, slot) => {
    const blockTable = blocksFor(model.scheduler, slot, 32);
    return new TestSequence({ slot, tokenIds: prompt, blockTable, sampling: { temperature: 0, seed: slot, choice: 0, ...way } });
  });
  for (const sequence of sequences) await step(model, [[sequence, prompt.length]]);
  for (let i = 1; i < 20; i++) await step(model, sequences.map((sequence) => [sequence, 1] as const));
  for (const [i, { tokenIds }] of sequences.entries()) {
    const drawn = tokenIds.slice(prompt.length);
    expect(drawn, JSON.stringify(ways[i])).toHaveLength(20);
    expect(Math.max(...drawn), JSON.stringify(ways[i])).toBeLessThan(vocabSize);
    if (ways[i]?.logitBias !== undefined) expect(new Set(drawn)).toEqual(new Set([last]));
  }
  expect(sequences[0]?.tokenIds.slice(prompt.length)).toEqual(createReferenceModel(contents).greedy(prompt, 20));
  const unbiased = (await readLogits(model, ways.length)).filter((_, i) => ways[i]?.logitBias === undefined);
  expect(Math.max(...unbiased.flatMap((logits) => [...logits]))).toBeLessThan(-5);
});

/** The greatest difference of two logits; NaN where one is, or where there are not as many. */
function worstDifference(actual: readonly Float32Array[], expected: readonly Float64Array[]): number {
  if (actual.length !== expected.length) return NaN;
  let worst = 0;
  for (const [position, logits] of expected.entries()) {
    const others = actual[position];
    if (others?.length !== logits.length) return NaN;
    for (const [id, logit] of logits.entries()) worst = Math.max(worst, Math.abs(logit - (others[id] ?? NaN)));
  }
  return worst;
}
