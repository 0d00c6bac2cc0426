import { afterEach, expect, test } from 'vitest';
import type { KvCacheDtype } from '../../src/core/kv-cache-dtype.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { loadBytes, logitsOfEveryPosition } from '../support/gpu-runner.ts';
import { createRandom } from '../support/random.ts';
import { createReferenceModel } from '../support/reference-model.ts';
import { TINY_SHAPES, tinyModel, tinyModelContents } from '../support/tiny-model.ts';

let loaded: LoadedRunner | undefined;
afterEach(() => loaded?.destroy());

const PRESETS = ['gqa3', 'gqa9', 'wide', 'narrow', 'smollm2'] as const;

/** What a model of random weights computes over 200 random tokens, with either cache. */
async function logitsOf(preset: (typeof PRESETS)[number]) {
  const options = { preset, type: 'mixed', seed: 3 } as const;
  const random = createRandom(4);
  const tokens = Array.from({ length: 200 }, () => 3 + random.below(TINY_SHAPES[preset].vocabSize - 3));
  const logits = async (kvCacheDtype: KvCacheDtype): Promise<readonly Float32Array[]> => {
    loaded = await loadBytes(tinyModel(options), { kvCacheDtype, limits: { maxNumSeqs: 16 } });
    const result = await logitsOfEveryPosition(loaded, tokens);
    loaded.destroy();
    return result;
  };
  const reference = createReferenceModel(tinyModelContents(options), 'int8').logits(tokens);
  return { f32: await logits('f32'), int8: await logits('int8'), reference };
}

/** The greatest and the mean difference of two logits; NaN where one is. */
function differences(some: readonly Float32Array[], others: readonly (Float32Array | Float64Array)[]) {
  const all = some.flatMap((row, i) => [...row].map((logit, id) => Math.abs(logit - (others[i]?.[id] ?? NaN))));
  return { worst: all.reduce((a, b) => Math.max(a, b), 0), mean: all.reduce((a, b) => a + b, 0) / all.length };
}

// A step that is nearly a tie may fall to either side in f32 and in float64, and moves what comes after it.
test.each(PRESETS)('%s: INT8 KV moves the logits by little, and as a float64 reference with such a cache', async (preset) => {
  const { f32, int8, reference } = await logitsOf(preset);
  const moved = differences(f32, int8);
  console.log(`${preset}: INT8 KV moves the logits by ${moved.worst} at most, ${moved.mean} on average`);
  expect(moved.worst).toBeLessThanOrEqual(1);
  expect(moved.mean).toBeLessThanOrEqual(0.08);
  expect(moved.mean).toBeGreaterThan(0.01); // it is a different cache
  const unexplained = differences(int8, reference);
  expect(unexplained.worst).toBeLessThanOrEqual(0.25);
  expect(unexplained.mean).toBeLessThanOrEqual(0.01);
});

test('the same budget holds 3.8 times the blocks of heads of 64', async () => {
  const numBlocks = async (kvCacheDtype: KvCacheDtype): Promise<number> => {
    loaded = await loadBytes(tinyModel({ preset: 'smollm2', type: 'Q8_0' }), { kvCacheDtype });
    const state = loaded.runner.state.cache.flatMap(({ keys, values }) => [keys.size, values.size]);
    expect(state.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(16 * 1024 * 1024);
    loaded.destroy();
    return loaded.scheduler.numBlocks;
  };
  const [f32, int8] = [await numBlocks('f32'), await numBlocks('int8')];
  expect(f32).toBe(Math.floor((16 * 1024 * 1024) / (2 * 3 * 16 * 64 * 4)));
  expect(int8).toBe(Math.floor((16 * 1024 * 1024) / (2 * 3 * 16 * (64 + 4))));
});
