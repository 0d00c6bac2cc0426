import { afterEach, expect, test } from 'vitest';
import type { KvCacheDtype } from '../../src/core/kv-cache-dtype.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { loadBytes, logitsOfEveryPosition } from '../support/gpu-runner.ts';
import { createRandom } from '../support/random.ts';
import { createReferenceModel } from '../support/reference-model.ts';
import { TINY_SHAPES, tinyModel, tinyModelContents } from '../support/tiny-model.ts';

let loaded: LoadedRunner | undefined;
afterEach(() => loaded?.destroy());

/** Heads of 32, 16 and 64, and an uneven group of them. */
const PRESETS = ['gqa9', 'narrow', 'smollm2'] as const;

/** How far logits may move, and how far off a reference with such a cache they may be. */
const BOUNDS = {
  f16: { worst: 0.1, mean: 0.005, least: 1e-4, unexplained: { worst: 0.03, mean: 0.001 } },
  int8: { worst: 1, mean: 0.08, least: 0.01, unexplained: { worst: 0.25, mean: 0.01 } },
} as const;

/** What a model of random weights computes over 200 random tokens, with either cache. */
async function logitsOf(preset: (typeof PRESETS)[number], dtype: keyof typeof BOUNDS) {
  const options = { preset, type: 'mixed', seed: 3 } as const;
  const random = createRandom(4);
  const tokens = Array.from({ length: 200 }, () => 3 + random.below(TINY_SHAPES[preset].vocabSize - 3));
  const logits = async (kvCacheDtype: KvCacheDtype): Promise<readonly Float32Array[]> => {
    loaded = await loadBytes(tinyModel(options), { kvCacheDtype, limits: { maxNumSeqs: 16 } });
    const result = await logitsOfEveryPosition(loaded, tokens);
    loaded.destroy();
    return result;
  };
  const reference = createReferenceModel(tinyModelContents(options), dtype).logits(tokens);
  return { f32: await logits('f32'), rounded: await logits(dtype), reference };
}

/** The greatest and the mean difference of two logits; NaN where one is. */
function differences(some: readonly Float32Array[], others: readonly (Float32Array | Float64Array)[]) {
  const all = some.flatMap((row, i) => [...row].map((logit, id) => Math.abs(logit - (others[i]?.[id] ?? NaN))));
  return { worst: all.reduce((a, b) => Math.max(a, b), 0), mean: all.reduce((a, b) => a + b, 0) / all.length };
}

const CASES = PRESETS.flatMap((preset) => (['f16', 'int8'] as const).map((dtype) => ({ preset, dtype })))
  .filter(({ preset, dtype }) => dtype === 'int8' || preset === 'smollm2');

// A step that is nearly a tie may fall to either side in f32 and in float64, and moves what comes after it.
test.each(CASES)('$preset: $dtype KV moves the logits by little, and as a float64 reference with such a cache', async ({ preset, dtype }) => {
  const { f32, rounded, reference } = await logitsOf(preset, dtype);
  const bounds = BOUNDS[dtype];
  const moved = differences(f32, rounded);
  const unexplained = differences(rounded, reference);
  console.log(`${preset}: ${dtype} KV moves the logits by ${moved.worst} at most, ${moved.mean} on average; not as the reference by ${unexplained.worst}, ${unexplained.mean}`);
  expect(moved.worst).toBeLessThanOrEqual(bounds.worst);
  expect(moved.mean).toBeLessThanOrEqual(bounds.mean);
  expect(moved.mean).toBeGreaterThan(bounds.least); // it is a different cache
  expect(unexplained.worst).toBeLessThanOrEqual(bounds.unexplained.worst);
  expect(unexplained.mean).toBeLessThanOrEqual(bounds.unexplained.mean);
});

test('the same budget holds twice the blocks of heads of 64 in f16, and 3.8 times in INT8', async () => {
  const numBlocks = async (kvCacheDtype: KvCacheDtype): Promise<number> => {
    loaded = await loadBytes(tinyModel({ preset: 'smollm2', type: 'Q8_0' }), { kvCacheDtype });
    const state = loaded.runner.state.cache.flatMap(({ keys, values }) => [keys.size, values.size]);
    expect(state.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(16 * 1024 * 1024);
    loaded.destroy();
    return loaded.scheduler.numBlocks;
  };
  const [f32, f16, int8] = [await numBlocks('f32'), await numBlocks('f16'), await numBlocks('int8')];
  expect(f16).toBe(Math.floor((16 * 1024 * 1024) / (2 * 3 * 16 * 64 * 2)));
  expect(f32).toBe(Math.floor((16 * 1024 * 1024) / (2 * 3 * 16 * 64 * 4)));
  expect(int8).toBe(Math.floor((16 * 1024 * 1024) / (2 * 3 * 16 * (64 + 4))));
});
