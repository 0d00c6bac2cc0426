import { expect, test } from 'vitest';
import type { ModelConfig } from '../../../src/core/model-config.ts';
import { type CacheOptions, planCache } from '../../../src/runner/kv-cache.ts';

/** SmolLM2-135M's. */
const CONFIG: ModelConfig = {
  architecture: 'llama', name: 'SmolLM2 135M', vocabSize: 49152, hiddenSize: 576, intermediateSize: 1536,
  numLayers: 30, numHeads: 9, numKvHeads: 3, headSize: 64, ropeDimensions: 64, ropeTheta: 100_000,
  ropeStyle: 'interleaved', ropeScalingFactor: 1, ropeFactors: false, qkvBias: false, qkNorm: false, rmsNormEps: 1e-5, maxPositionEmbeddings: 8192, tiedEmbeddings: true,
};
const MIB = 1024 * 1024;

test('a block has keys and values of 16 tokens in every layer, INT8 a byte an element and a scale a vector', () => {
  expect(planCache(CONFIG, {}).blockBytes).toBe(30 * 2 * 3 * 16 * 64 * 4);
  expect(planCache(CONFIG, { kvCacheDtype: 'f16' }).blockBytes).toBe(30 * 2 * 3 * 16 * 64 * 2);
  expect(planCache(CONFIG, { kvCacheDtype: 'int8' }).blockBytes).toBe(30 * 2 * 3 * 16 * (64 + 4));
});

test.each<readonly [CacheOptions, number, number, number]>([
  [{}, 364, 32, 8192], // 256 MiB
  [{ kvCacheDtype: 'int8' }, 1370, 32, 8192],
  [{ maxModelLen: 100 }, 364, 7, 100],
  [{ maxModelLen: 2000 }, 364, 32, 2000],
  [{ kvCacheBytes: 8 * MIB }, 11, 11, 8192], // less than 512 tokens, by the user's own budget
])('%o: %i blocks, %i at least, sequences of %i', (options, numBlocks, minBlocks, maxModelLen) => {
  expect(planCache(CONFIG, options)).toMatchObject({ numBlocks, minBlocks, maxModelLen });
});

test.each<readonly [CacheOptions, string, RegExp]>([
  [{ kvCacheBytes: 100 }, 'kvCacheBytes', /room for 0 tokens/],
  [{ kvCacheBytes: 8 * MIB, maxModelLen: 200 }, 'kvCacheBytes', /room for 176 tokens. 200 tokens need 9584640/],
  [{ kvCacheBytes: Infinity }, 'kvCacheBytes', /Infinity/],
  [{ maxModelLen: -5 }, 'maxModelLen', /-5/],
])('%o is refused, naming %s', (options, param, message) => {
  expect(() => planCache(CONFIG, options)).toThrow(
    expect.objectContaining({ code: 'invalid_request', param, message: expect.stringMatching(message) }),
  );
});
