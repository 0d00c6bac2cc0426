import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { LogitsParams } from '../../../src/core/request.ts';
import { MAX_LOGIT_BIASES } from '../../../src/core/request.ts';
import { CHI_SQUARE_7, chiSquare, DRAWS, softmaxOf } from '../../support/chi-square.ts';
import { firstWrong, KernelLab, POISON } from '../../support/kernel-lab.ts';
import { createRandom, type Random } from '../../support/random.ts';
import { countTokens, runSampler, type TestSample } from '../../support/sampler-lab.ts';
import { adjustedLogits, argmax, type Tokens } from '../../support/sampling-references.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

const GREEDY = { temperature: 0, seed: 1, choice: 0, position: 9 };
const NOTHING: Tokens = { prompt: [], output: [] };
/** Half an ulp an operation: a bias, a product or 2.5 ulp of a quotient, two products and subtractions; twice that. */
const ROUNDING = 2 ** -21;

function randomTokens(random: Random, vocab: number): Tokens {
  // Often the same ones, so that counts go beyond 1.
  const ids = (n: number): number[] => Array.from({ length: n }, () => random.below(Math.min(vocab, 1 + random.below(2 * n))));
  return { prompt: ids(random.below(200)), output: ids(random.below(100)) };
}

function randomParams(random: Random, vocab: number): LogitsParams {
  const biased = Array.from({ length: random.below(3) * random.below(400) }, () => random.below(vocab));
  return {
    repetitionPenalty: [1, 1.3, 0.7, 2][random.below(4)],
    frequencyPenalty: [0, 0.6, -2][random.below(3)],
    presencePenalty: [0, 1.5, -0.4][random.below(3)],
    logitBias: [...new Set(biased)].map((token) => [token, random.normal() * 30] as const),
  };
}

/** The first logit that is further from the reference's than rounding explains; untouched ones must be the same bits. */
function wrongLogit({ logits, draw, tokens = NOTHING }: TestSample, actual: Float32Array): string | undefined {
  const expected = adjustedLogits(logits, draw, tokens);
  const sizes = logits.map((logit, token) => Math.abs(logit) + Math.abs((expected[token] ?? NaN) - logit) + 100);
  return firstWrong(
    actual,
    Array.from(expected, (value, token) => ({ value, error: value === logits[token] ? 0 : ROUNDING * (sizes[token] ?? 0) })),
  );
}

test.each([[1, 9], [2, 9], [63, 12], [65, 12], [1025, 16], [10_007, 16], [49_152, 8]])(
  'biases and penalties of %i logits, ragged: what the definitions give, in place, and the largest is taken',
  async (vocab, count) => {
    const random = createRandom(vocab);
    const samples = Array.from({ length: count }, (_, i): TestSample => ({
      logits: new Float32Array(vocab).map(() => random.normal() * 8),
      draw: { ...GREEDY, ...(i % 4 === 3 ? {} : randomParams(random, vocab)) },
      tokens: randomTokens(random, vocab),
      slot: count - i,
    }));
    const { tokens, logits, tokenCounts } = await runSampler(lab, samples, { slots: count + 1 });
    for (const [i, sample] of samples.entries()) {
      const adjusted = logits[i]!;
      expect(wrongLogit(sample, adjusted), JSON.stringify(sample.draw)).toBeUndefined();
      expect(tokens[count - i], 'greedy goes by what they make').toBe(argmax(adjusted));
      const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0 } = sample.draw;
      const isPenalised = repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
      const { prompt, output } = sample.tokens ?? NOTHING;
      const counted = countTokens(vocab, { prompt, output: [...output, tokens[count - i]!] });
      const expected = isPenalised ? counted : new Uint32Array(vocab).fill(POISON);
      expect(tokenCounts[count - i], 'the drawn token is counted, where anything is').toEqual(expected);
    }
    expect(tokenCounts[0]?.every((word) => word === POISON)).toBe(true);
  },
);

test('by hand: the bias first, then the repetition penalty, then the other two on what was generated', async () => {
  const logits = Float32Array.from([2, 2, 2, 2, -2, -2, 0.5, 3]);
  const tokens = { prompt: [0, 4, 1], output: [1, 2, 2, 5, 6] };
  const params = { repetitionPenalty: 2, frequencyPenalty: 0.25, presencePenalty: 1, logitBias: [[6, -1.5], [7, -100], [3, 4]] as const };
  const { logits: [adjusted], tokens: [drawn] } = await runSampler(lab, [{ logits, tokens, draw: { ...GREEDY, ...params } }]);
  expect([...(adjusted ?? [])]).toEqual([1, 1 - 1.25, 1 - 1.5, 6, -4, -4 - 1.25, -2 - 1.25, -97]);
  expect(drawn).toBe(3);
});

test('as many biases as are allowed, over the whole vocabulary', async () => {
  const vocab = 49_152;
  const logitBias = Array.from({ length: MAX_LOGIT_BIASES }, (_, i) => [i * 48, i === 777 ? 100 : -i / 16] as const);
  const sample = { logits: new Float32Array(vocab).fill(1), draw: { ...GREEDY, logitBias } };
  const { tokens, logits } = await runSampler(lab, [sample]);
  expect(wrongLogit(sample, logits[0]!)).toBeUndefined();
  expect(tokens).toEqual([777 * 48]);
});

test('filters go by the logits that biases and penalties make', async () => {
  const logits = Float32Array.from([5, 4, 3, 2, 1]);
  const draw = { temperature: 1, seed: 4, choice: 0, topK: 2, logitBias: [[4, 3.5]] as const, presencePenalty: 2 };
  const samples = Array.from({ length: 200 }, (_, position) => ({ logits, draw: { ...draw, position }, tokens: { prompt: [], output: [0] } }));
  const { tokens } = await runSampler(lab, samples);
  expect(new Set(tokens)).toEqual(new Set([4, 1]));
});

const LOGITS = Float32Array.from([0, 1, 2, -1, 0.5, 1.5, -0.5, 2.5]);
const TOKENS: Tokens = { prompt: [7, 0, 3], output: [2, 2, 5, 7] };

test.each<[string, LogitsParams]>([
  ['repetition_penalty', { repetitionPenalty: 1.8 }],
  ['frequency_penalty', { frequencyPenalty: 0.7 }],
  ['presence_penalty', { presencePenalty: 0.9 }],
  ['logit_bias', { logitBias: [[3, 2], [7, -1]] }],
  ['all of them', { repetitionPenalty: 0.6, frequencyPenalty: -0.3, presencePenalty: 0.4, logitBias: [[1, 0.7]] }],
])('draws with %s follow the softmax of the adjusted logits', async (_name, params) => {
  const samples = Array.from({ length: DRAWS / 2 }, (_, position) => ({
    logits: LOGITS,
    tokens: TOKENS,
    draw: { temperature: 0.9, seed: 21, choice: 0, position, ...params },
  }));
  const { tokens } = await runSampler(lab, samples);
  expect(chiSquare(tokens, softmaxOf(adjustedLogits(LOGITS, params, TOKENS), 0.9))).toBeLessThan(CHI_SQUARE_7);
  // A sampler that does nothing, or does it twice, is seen.
  expect(chiSquare(tokens, softmaxOf(LOGITS, 0.9))).toBeGreaterThan(2 * CHI_SQUARE_7);
  const twice = adjustedLogits(Float32Array.from(adjustedLogits(LOGITS, params, TOKENS)), params, TOKENS);
  expect(chiSquare(tokens, softmaxOf(twice, 0.9))).toBeGreaterThan(2 * CHI_SQUARE_7);
});
