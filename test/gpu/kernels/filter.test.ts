import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { LogitsParams } from '../../../src/core/request.ts';
import { KernelLab, POISON } from '../../support/kernel-lab.ts';
import { createRandom, type Random } from '../../support/random.ts';
import { orderKey, runSampler, type TestSample } from '../../support/sampler-lab.ts';
import { argmax, fixedPointThreshold, isKept, samplingScores } from '../../support/sampling-references.ts';
import { CHI_SQUARE_7, chiSquare, DRAWS, softmaxOf } from '../../support/chi-square.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

/** SmolLM2-135M's vocabulary. */
const VOCAB = 49152;

/** Logits of many kinds: as a model's; with many ties; nearly flat; steep; huge. */
const KINDS: readonly ((random: Random) => number)[] = [
  (random) => random.normal() * 3 - 12,
  (random) => Math.round(random.normal() * 2) / 2,
  (random) => 5 + random.normal() * 2 ** -20,
  (random) => random.normal() * 40,
  (random) => (random.below(50) === 0 ? [0, -0, -Infinity, NaN, 1e-30, -1e-30][random.below(6)] ?? 0 : random.normal()),
  (random) => random.normal() * 5e37,
];

function pick<T>(random: Random, values: readonly [T, ...T[]]): T {
  return values[random.below(values.length)] ?? values[0];
}

function randomFilters(random: Random, vocab: number): Pick<LogitsParams, 'topK' | 'topP' | 'minP'> {
  return {
    topK: pick(random, [0, 0, 1, 2, 5, 40, 1000, vocab - 1, vocab, vocab + 5]),
    topP: pick(random, [1, 1, 0.999, 0.95, 0.9, 0.5, 0.1, 1e-6, 0.999999]),
    minP: pick(random, [0, 0, 1, 0.5, 0.05, 1e-4, 1e-9]),
  };
}

function randomSamples(vocab: number, count: number, seed: number): TestSample[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, i) => {
    const kind = KINDS[i % KINDS.length] ?? (() => random.normal());
    const logits = new Float32Array(vocab).map(() => kind(random));
    const temperature = pick(random, [0.001, 0.3, 0.7, 1, 1.5, 2, 30]);
    const draw = { temperature, seed: random.uint32(), choice: 0, position: i };
    return { logits, draw: { ...draw, ...randomFilters(random, vocab) } };
  });
}

const isFiltered = ({ draw: { topK = 0, topP = 1, minP = 0 } }: TestSample): boolean => topK > 0 || topP < 1 || minP > 0;

/** Where the tokens that a sample may draw are not those of the fixed-point reference. */
function wrongThreshold({ logits, draw }: TestSample, threshold: number): string | undefined {
  const lowest = fixedPointThreshold(logits, draw);
  const wrong = logits.findIndex((logit) => orderKey(logit) >= threshold !== logit >= lowest);
  if (wrong < 0) return undefined;
  return `token ${wrong}, logit ${logits[wrong]}: kept from ${lowest} on; ${JSON.stringify(draw)}`;
}

const MOST_LANES = inject('isCompatibility') ? 128 : 256;
const SIZES = [[1, 12], [2, 24], [63, 60], [256, 60], [1025, 60], [4096, 36], [4097, 36], [10007, 36], [VOCAB, 18]] as const;
/** A software adapter runs many lanes one after the other. */
const MANY_LANES = SIZES.filter(([vocab]) => vocab !== 2 && vocab !== 256 && vocab !== 4096);

describe.each([[16, SIZES], [MOST_LANES, MANY_LANES]] as const)('with %i lanes', (filterLanes, sizes) => {
  test.each(sizes)(
    '%i logits: exactly what sorting and exact sums keep, and the best of it is drawn',
    async (vocab, count) => {
      const samples = randomSamples(vocab, count, vocab);
      const { tokens, thresholds, histograms, candidates } = await runSampler(lab, samples, { filterLanes });
      for (const [i, sample] of samples.entries()) {
        if (!isFiltered(sample)) {
          expect(thresholds[i], 'the selection of who has no filters is left alone').toBe(POISON);
          continue;
        }
        expect(wrongThreshold(sample, thresholds[i] ?? NaN)).toBeUndefined();
        const { logits, draw } = sample;
        const lowest = fixedPointThreshold(logits, draw);
        const scores = samplingScores(logits, draw).map((score, token) => ((logits[token] ?? NaN) >= lowest ? score : -Infinity));
        const drawn = tokens[i] ?? NaN;
        const slack = 2 ** -15 * (1 + Math.abs(scores[drawn] ?? NaN) / 2 ** 5);
        expect((scores[argmax(scores)] ?? NaN) - (scores[drawn] ?? NaN), `sample ${i}`).toBeLessThan(slack);
        for (const { token } of candidates[i] ?? []) if (token < vocab) expect(logits[token]).toBeGreaterThanOrEqual(lowest);
      }
      expect(histograms.every((word) => word === 0)).toBe(true);
    },
  );
});

test('what is kept is what the definitions keep in f64, but for masses too near to tell', async () => {
  const vocab = 300;
  const samples = randomSamples(vocab, 120, 6).filter(({ logits }) => logits.every((logit) => Math.abs(logit) < 1000));
  const { thresholds } = await runSampler(lab, samples);
  let unsure = 0;
  let some = 0;
  for (const [i, { logits, draw }] of samples.entries()) {
    if (!isFiltered(samples[i]!)) continue;
    const kept = Array.from(logits, (logit) => orderKey(logit) >= (thresholds[i] ?? NaN));
    const expected = kept.map((_, token) => isKept(logits, token, draw));
    unsure += expected.filter((each) => each === undefined).length;
    some += kept.filter((each) => !each).length;
    const wrong = expected.findIndex((each, token) => each !== undefined && each !== kept[token]);
    expect(wrong, JSON.stringify({ draw, logit: logits[wrong] })).toBe(-1);
  }
  expect(some).toBeGreaterThan(3000);
  expect(unsure).toBeLessThan(100);
});

describe('by hand', () => {
  const DRAW = { temperature: 1, seed: 3, choice: 0, position: 0 };
  /** Probabilities 0.4, 0.3, 0.15, 0.1, 0.05, in another order, and a token that is impossible. */
  const LOGITS = Float32Array.from([0.1, 0.4, 0.05, 0.3, 0, 0.15].map(Math.log));

  test.each<[string, LogitsParams, readonly number[]]>([
    ['top_k 2', { topK: 2 }, [1, 3]],
    ['top_k beyond the vocabulary', { topK: 99 }, [0, 1, 2, 3, 4, 5]],
    ['top_p 0.6', { topP: 0.6 }, [1, 3]],
    ['top_p 0.71: the token that crosses it is kept', { topP: 0.71 }, [1, 3, 5]],
    ['top_p next to nothing: the most likely one is always kept', { topP: 1e-9 }, [1]],
    ['min_p 0.3', { minP: 0.3 }, [1, 3, 5]],
    ['min_p 1', { minP: 1 }, [1]],
    ['top_p of what top_k leaves: 0.4 / 0.7 is enough', { topK: 2, topP: 0.55 }, [1]],
    ['top_p of what min_p leaves: 0.7 / 0.85', { minP: 0.3, topP: 0.82 }, [1, 3]],
    ['top_k of what min_p leaves', { minP: 0.7, topK: 5 }, [1, 3]],
  ])('%s', async (_name, filters, kept) => {
    const { thresholds } = await runSampler(lab, [{ logits: LOGITS, draw: { ...DRAW, ...filters } }]);
    const above = [...LOGITS.keys()].filter((token) => orderKey(LOGITS[token] ?? NaN) >= (thresholds[0] ?? NaN));
    expect(above).toEqual(kept);
  });

  test('the least top_p of a mass of its own is rounded up to something', async () => {
    const { thresholds } = await runSampler(lab, [{ logits: LOGITS, draw: { ...DRAW, temperature: 0.001, topP: 1e-12 } }]);
    expect(thresholds).toEqual([orderKey(LOGITS[1]!)]);
  });

  test('top_p goes by the probabilities at the temperature', async () => {
    // At temperature 0.5 they are squared: 0.16 of 0.285 in all.
    const samples = [1, 0.5].map((temperature) => ({ logits: LOGITS, draw: { ...DRAW, temperature, topP: 0.5 } }));
    const { thresholds } = await runSampler(lab, samples);
    expect(thresholds).toEqual([orderKey(LOGITS[3]!), orderKey(LOGITS[1]!)]);
  });

  test('tokens that tie with the last one kept are kept: at top_k, at top_p, and -0 with 0', async () => {
    const tied = Float32Array.from({ length: 5000 }, (_, i) => (i % 1000 === 7 ? 2 : i % 100 === 0 ? 1 : -20));
    const zeros = Float32Array.from({ length: 5000 }, (_, i) => (i % 1000 === 7 ? 0 : i % 100 === 0 ? -0 : -20));
    const samples = [
      { logits: tied, draw: { ...DRAW, topK: 3 } }, // of 5
      { logits: tied, draw: { ...DRAW, topK: 6 } },
      { logits: tied, draw: { ...DRAW, topP: 0.1 } },
      { logits: zeros, draw: { ...DRAW, topK: 6 } }, // the sixth is a -0
    ];
    const { thresholds } = await runSampler(lab, samples);
    expect(thresholds).toEqual([2, 1, 2, 0].map(orderKey));
  });

  test('greedy takes the largest logit, whatever the filters', async () => {
    const draw = { ...DRAW, temperature: 0, topK: 1, topP: 0.1, minP: 0.5 };
    const { tokens, thresholds } = await runSampler(lab, [{ logits: LOGITS, draw }]);
    expect([tokens, thresholds]).toEqual([[1], [POISON]]);
  });

  test('all NaN, all -Infinity: an id outside the vocabulary', async () => {
    const draws = [{ topK: 3 }, { topP: 0.5 }, { minP: 0.1 }].map((filters) => ({ ...DRAW, ...filters }));
    const samples = [NaN, -Infinity].flatMap((logit) => draws.map((draw) => ({ logits: new Float32Array(3001).fill(logit), draw })));
    for (const token of (await runSampler(lab, samples)).tokens) expect(token).toBeGreaterThanOrEqual(3001);
  });
});

describe('draws', () => {
  test('do not depend on the batch, the order, the slot or the lanes', async () => {
    const samples = randomSamples(10_007, 12, 8);
    const together = await runSampler(lab, samples);
    const wide = await runSampler(lab, samples.toReversed(), { filterLanes: MOST_LANES });
    expect([wide.tokens.toReversed(), wide.thresholds.toReversed()]).toEqual([together.tokens, together.thresholds]);
    for (const [i, sample] of samples.entries()) {
      const alone = await runSampler(lab, [{ ...sample, slot: 0 }], { slots: 2 });
      expect([alone.tokens, alone.thresholds[0]]).toEqual([[together.tokens[i], POISON], together.thresholds[i]]);
      expect(alone.candidates[0]).toEqual(together.candidates[i]);
    }
  });

  test('without filters, or with filters that keep all, are what they were before there were filters', async () => {
    const plain = randomSamples(10_007, 12, 9).map(({ logits, draw: { temperature, seed, choice, position } }) => ({
      logits: logits.map((logit) => (Math.abs(logit) < 100 ? logit : 0)),
      draw: { temperature: Math.max(temperature, 0.3), seed, choice, position },
    }));
    const given = (filters: LogitsParams): TestSample[] => plain.map(({ logits, draw }) => ({ logits, draw: { ...draw, ...filters } }));
    const before = await runSampler(lab, plain);
    expect(before.tokens).toEqual(plain.map(({ logits, draw }) => argmax(samplingScores(logits, draw))));
    for (const filters of [{ topK: -1, topP: 1, minP: 0 }, { topK: 10_007 }, { minP: 1e-38 }]) {
      const { tokens, candidates } = await runSampler(lab, given(filters));
      expect([tokens, candidates]).toEqual([before.tokens, before.candidates]);
    }
    // Beside others that have them, too.
    const mixed = await runSampler(lab, [...given({ topK: 1 }), ...plain]);
    expect(mixed.tokens.slice(12)).toEqual(before.tokens);
    for (const [i, { logits }] of plain.entries()) expect(logits[mixed.tokens[i] ?? NaN]).toBe(logits[argmax(logits)]);
  });

  // Eight tokens, kept in part; 1000 that are not.
  const LOGITS = Float32Array.from({ length: 1008 }, (_, i) => (i % 126 === 0 ? [0, 1, 2, -1, 0.5, 1.5, -0.5, 2.5][i / 126] ?? 0 : -1.1));

  test.each<[string, LogitsParams, number]>([
    ['top_k', { topK: 4 }, 0.9],
    ['top_p', { topP: 0.104 }, 0.9],
    ['min_p', { minP: 0.15 }, 0.9],
    ['all three', { topK: 7, minP: 0.05, topP: 0.9 }, 1.2],
  ])('with %s follow the softmax of what it keeps, and nothing else is drawn', async (_name, filters, temperature) => {
    const samples = Array.from({ length: DRAWS / 4 }, (_, position) => ({
      logits: LOGITS,
      draw: { temperature, seed: 11, choice: 0, position, ...filters },
    }));
    const lowest = fixedPointThreshold(LOGITS, { ...filters, temperature });
    const kept = LOGITS.map((logit) => (logit >= lowest ? logit : -Infinity));
    const numKept = kept.filter((logit) => logit > -Infinity).length;
    expect(numKept).toBeGreaterThan(3);
    expect(numKept).toBeLessThan(8);
    const tokens: number[] = [];
    for (const part of [0, 1, 2, 3]) {
      const from = part * samples.length;
      const batch = samples.map(({ logits, draw }, i) => ({ logits, draw: { ...draw, position: from + i } }));
      tokens.push(...(await runSampler(lab, batch)).tokens);
    }
    const likely = softmaxOf(kept, temperature);
    expect(chiSquare(tokens, likely)).toBeLessThan(CHI_SQUARE_7);
    // A sampler that keeps one token too few or too many is seen.
    const sorted = kept.toSorted().toReversed();
    const fewer = kept.map((logit) => (logit > (sorted[numKept - 1] ?? 0) ? logit : -Infinity));
    expect(chiSquare(tokens, softmaxOf(fewer, temperature))).toBe(Infinity);
    const next = LOGITS.toSorted().at(-numKept - 1) ?? NaN;
    const more = LOGITS.map((logit) => (logit >= next ? logit : -Infinity));
    expect(chiSquare(tokens, softmaxOf(more, temperature))).toBeGreaterThan(4 * CHI_SQUARE_7);
    // So is one that drops what it should and then draws at another temperature.
    expect(chiSquare(tokens, softmaxOf(kept, temperature * 1.25))).toBeGreaterThan(CHI_SQUARE_7);
  });
});
