import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CHI_SQUARE_63, CHI_SQUARE_7, chiSquare, DRAWS } from '../../support/chi-square.ts';
import { KernelLab, POISON } from '../../support/kernel-lab.ts';
import { createRandom } from '../../support/random.ts';
import { runSampler, type TestSample } from '../../support/sampler-lab.ts';
import { argmax, type Draw, samplingScores } from '../../support/sampling-references.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

const GREEDY: Draw = { temperature: 0, seed: 1, choice: 2, position: 3 };
/** SmolLM2-135M's vocabulary. */
const VOCAB = 49152;

/** The tokens drawn, by slot; poison in the slots of no sample. */
async function tokensOf(samples: readonly TestSample[], slots = samples.length): Promise<number[]> {
  return (await runSampler(lab, samples, { slots })).tokens;
}

const filled = (length: number, value: number, others: Readonly<Record<number, number>> = {}): Float32Array => {
  const logits = new Float32Array(length).fill(value);
  for (const [token, logit] of Object.entries(others)) logits[Number(token)] = logit;
  return logits;
};

describe('greedy', () => {
  /** A workgroup's 64 lanes look through chunks of 1024. */
  test.each([1, 2, 63, 65, 1023, 1024, 1025, 3001, VOCAB])('the argmax of %i logits', async (vocab) => {
    const random = createRandom(vocab);
    const samples = Array.from({ length: 5 }, () => ({
      logits: new Float32Array(vocab).map(() => random.normal() - 20),
      draw: GREEDY,
    }));
    expect(await tokensOf(samples)).toEqual(samples.map(({ logits }) => argmax(logits)));
  });

  test('the lowest id wins a tie: in a lane, between lanes, between chunks, and where all are equal', async () => {
    const ties = [[5, 69], [69, 5 + 640], [69, 70], [70, 127], [70, 3 + 128], [200, 1224], [1023, 1024], [1500, 40_000], [0, VOCAB - 1]];
    const samples = ties.map((tied) => ({
      logits: filled(VOCAB, -1, Object.fromEntries(tied.map((token) => [token, 7]))),
      draw: GREEDY,
    }));
    const all = [...samples, { logits: filled(VOCAB, -3), draw: GREEDY }];
    expect(await tokensOf(all)).toEqual([...ties.map(([lowest]) => lowest), 0]);
  });

  test('huge logits, infinite ones, and a NaN among numbers', async () => {
    const samples = [
      filled(3001, -3e38, { 2222: -2.9e38 }),
      filled(3001, 1e38, { 7: 3e38 }),
      filled(3001, -Infinity, { 1500: -1e30 }),
      filled(3001, 0, { 1: NaN, 2048: 0.5, 3000: NaN }),
    ].map((logits) => ({ logits, draw: GREEDY }));
    expect(await tokensOf(samples)).toEqual([2222, 7, 1500, 2048]);
  });

  test('all NaN: an id outside the vocabulary', async () => {
    const draws = [GREEDY, { ...GREEDY, temperature: 1 }];
    const samples = draws.map((draw) => ({ logits: filled(3001, NaN), draw }));
    for (const token of await tokensOf(samples)) expect(token).toBeGreaterThanOrEqual(3001);
  });
});

describe('with a temperature', () => {
  /**
   * What f32 and WGSL's accuracies can do to a score: logit / temperature is within 2.5 ulp. The inner log's 2^-21, on at
   * least 2^-4, moves the noise by 2^-17; the outer log is within 3 ulp of at most 17, 2^-18.
   */
  const slack = (largest: number): number => 2 ** -16 + 3 * 2 ** -23 * largest;

  test.each([
    ['SmolLM2’s vocabulary', VOCAB, 40],
    ['three chunks', 3001, 200],
    ['less than a lane each', 37, 200],
  ])('%s: the draw that the formula makes in f64, but for near-ties', async (_name, vocab, count) => {
    const random = createRandom(vocab);
    const samples = Array.from({ length: count }, () => {
      const logits = new Float32Array(vocab).map(() => random.normal() * 4);
      const draw = {
        temperature: 0.1 + 1.9 * random.uniform(),
        seed: random.uint32(),
        choice: random.below(4),
        position: random.below(8192),
      };
      return { logits, draw };
    });
    const { tokens, candidates } = await runSampler(lab, samples);
    let same = 0;
    for (const [i, { logits, draw }] of samples.entries()) {
      const scores = samplingScores(logits, draw);
      const best = argmax(scores);
      if (tokens[i] === best) same++;
      const error = slack(Math.max(...logits.map(Math.abs)) / draw.temperature + 17);
      expect((scores[best] ?? NaN) - (scores[tokens[i] ?? NaN] ?? NaN), `draw ${i}`).toBeLessThan(2 * error);
      for (const { score, token } of candidates[i] ?? []) {
        expect(Math.abs(score - (scores[token] ?? NaN)), `draw ${i}, token ${token}`).toBeLessThan(error);
      }
    }
    expect(same).toBeGreaterThanOrEqual(count - 1);
  });

  test('a draw depends on its own logits, seed, choice and position, not on neighbours, order or slot', async () => {
    const random = createRandom(8);
    const samples = Array.from({ length: 9 }, (_, i) => ({
      logits: new Float32Array(3001).map(() => random.normal()),
      draw: { temperature: i % 3 === 0 ? 0 : 1, seed: i, choice: i % 2, position: 40 + i },
    }));
    const together = await tokensOf(samples);
    const order = [4, 8, 0, 7, 2];
    const slots = [10, 2, 9, 0, 5];
    const chosen = order.map((i, place) => ({ ...samples[i]!, slot: slots[place]! }));
    const byslot = await tokensOf(chosen, 12);
    expect(slots.map((slot) => byslot[slot])).toEqual(order.map((i) => together[i]));
    expect(byslot.filter((_, slot) => !slots.includes(slot))).toEqual(Array(12 - slots.length).fill(POISON));
    for (const [i, one] of samples.entries()) expect((await tokensOf([one]))[0]).toBe(together[i]);
  });

  test('another seed, choice or position is another draw', async () => {
    const logits = filled(VOCAB, 0);
    const base = { temperature: 1, seed: 7, choice: 0, position: 100 };
    const draws = [base, base, { ...base, seed: 8 }, { ...base, choice: 1 }, { ...base, position: 101 }, { ...base, seed: 2 ** 32 - 1 }];
    const tokens = await tokensOf(draws.map((draw) => ({ logits, draw })));
    expect(tokens[0]).toBe(tokens[1]);
    expect(new Set(tokens).size).toBe(5);
  });

  const softmaxBins = (logits: Float32Array, temperature: number): number[] => {
    const bins = Array<number>(8).fill(0);
    for (const [token, logit] of logits.entries()) bins[token % 8]! += Math.exp(logit / temperature);
    const sum = bins.reduce((a, b) => a + b);
    return bins.map((bin) => bin / sum);
  };

  const LOGITS = Float32Array.from([0, 1, 2, -1, 0.5, 1.5, -0.5, 2.5]);

  describe.each<[string, (i: number) => Omit<Draw, 'temperature'>]>([
    ['position', (position) => ({ seed: 5, choice: 0, position })],
    ['seed', (seed) => ({ seed, choice: 0, position: 9 })],
    ['choice', (choice) => ({ seed: 5, choice, position: 9 })],
  ])('draws that differ in %s', (_name, drawOf) => {
    const drawn = (logits: Float32Array, temperature: number): Promise<number[]> =>
      tokensOf(Array.from({ length: DRAWS }, (_, i) => ({ logits, draw: { ...drawOf(i), temperature } })));

    test.each([0.5, 1, 2])('follow the softmax at temperature %f', async (temperature) => {
      const tokens = await drawn(LOGITS, temperature);
      expect(chiSquare(tokens, softmaxBins(LOGITS, temperature))).toBeLessThan(CHI_SQUARE_7);
    });

    test('know nothing of the one before', async () => {
      const tokens = await drawn(filled(8, 3), 1);
      const pairs = tokens.slice(1).map((token, i) => (tokens[i] ?? NaN) * 8 + token);
      expect(chiSquare(pairs, Array<number>(64).fill(1 / 64))).toBeLessThan(CHI_SQUARE_63);
    });
  });

  test('draws follow the softmax over several chunks', async () => {
    const random = createRandom(12);
    const logits = new Float32Array(2500).map((_, token) => random.normal() + (token % 8) / 4);
    const draws = Array.from({ length: 1024 }, (_, i) => ({ logits, draw: { temperature: 1, seed: 99, choice: 0, position: i } }));
    const tokens = await tokensOf(draws);
    expect(chiSquare(tokens.map((token) => token % 8), softmaxBins(logits, 1))).toBeLessThan(CHI_SQUARE_7);
  });
});
