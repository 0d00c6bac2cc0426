import { describe, expect, test } from 'vitest';
import type { LoadSettings } from '../../../src/core/load-settings.ts';
import type { ModelConfig } from '../../../src/core/model-config.ts';
import { type Machine, planCache } from '../../../src/runner/kv-cache-plan.ts';

/** SmolLM2-135M's. */
const CONFIG: ModelConfig = {
  architecture: 'llama', name: 'SmolLM2 135M', vocabSize: 49152, hiddenSize: 576, intermediateSize: 1536,
  numLayers: 30, numHeads: 9, numKvHeads: 3, headSize: 64, ropeDimensions: 64, ropeTheta: 100_000,
  ropeStyle: 'interleaved', ropeScalingFactor: 1, ropeFactors: false, qkvBias: false, qkNorm: false, rmsNormEps: 1e-5, maxPositionEmbeddings: 8192, tiedEmbeddings: true,
};
/** What counts of Qwen3-0.6B for its KV cache: 3.5 MiB a block in f32. */
const QWEN3: ModelConfig = { ...CONFIG, numLayers: 28, numHeads: 16, numKvHeads: 8, headSize: 128, maxPositionEmbeddings: 40_960 };
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const GPU: Machine = { budgetBytes: 16 * GIB, isSoftware: false, maxNumSeqs: 16 };
const gpuOf = (gib: number): Machine => ({ ...GPU, budgetBytes: gib * GIB });
const softwareOf = (gib: number): Machine => ({ budgetBytes: gib * GIB, isSoftware: true, maxNumSeqs: 8 });

/** In f32, unless the options name another type. */
const inF32 = (config: ModelConfig, options: LoadSettings, machine: Machine) => planCache(config, { kvCacheDtype: 'f32', ...options }, machine);

test('auto is f16 on a GPU and f32 on a software adapter, and so is nothing', () => {
  for (const settings of [{}, { kvCacheDtype: 'auto' }] as const) {
    expect(planCache(CONFIG, settings, GPU).dtype).toBe('f16');
    expect(planCache(CONFIG, settings, softwareOf(16)).dtype).toBe('f32');
  }
});

test('a block has keys and values of 16 tokens in every layer, INT8 a byte an element and a scale a vector', () => {
  expect(inF32(CONFIG, {}, GPU).blockBytes).toBe(30 * 2 * 3 * 16 * 64 * 4);
  expect(inF32(CONFIG, { kvCacheDtype: 'f16' }, GPU).blockBytes).toBe(30 * 2 * 3 * 16 * 64 * 2);
  expect(inF32(CONFIG, { kvCacheDtype: 'int8' }, GPU).blockBytes).toBe(30 * 2 * 3 * 16 * (64 + 4));
});

describe('a number of bytes', () => {
  test.each<readonly [LoadSettings, number, number, number]>([
    [{ kvCacheBytes: 256 * MIB }, 364, 32, 8192],
    [{ kvCacheBytes: 256 * MIB, kvCacheDtype: 'int8' }, 1370, 32, 8192],
    [{ kvCacheBytes: 256 * MIB, maxModelLen: 100 }, 364, 7, 100],
    [{ kvCacheBytes: 256 * MIB, maxModelLen: 2000 }, 364, 32, 2000],
    [{ kvCacheBytes: 8 * MIB }, 11, 11, 8192], // less than 512 tokens, by the user's own budget
  ])('%o: %i blocks, %i at least, sequences of %i, on any machine', (options, numBlocks, minBlocks, maxModelLen) => {
    const plan = { numBlocks, enoughBlocks: numBlocks, minBlocks, maxModelLen, cut: undefined };
    for (const machine of [GPU, gpuOf(0.1), softwareOf(0.1)]) expect(inF32(CONFIG, options, machine)).toMatchObject(plan);
  });

  test.each<readonly [LoadSettings, RegExp]>([
    [{ kvCacheBytes: 100 }, /room for 0 tokens/],
    [{ kvCacheBytes: 8 * MIB, maxModelLen: 200 }, /room for 176 tokens. 200 tokens need 9584640/],
  ])('%o is refused', (options, message) => {
    const error = { code: 'invalid_request', param: 'kvCacheBytes', message: expect.stringMatching(message) };
    expect(() => inF32(CONFIG, options, GPU)).toThrow(expect.objectContaining(error));
  });
});

describe('auto', () => {
  const plan = (config: ModelConfig, options: LoadSettings, machine: Machine) => {
    const { numBlocks, enoughBlocks, minBlocks, cut } = inF32(config, { kvCacheBytes: 'auto', ...options }, machine);
    return [numBlocks, enoughBlocks, minBlocks, cut];
  };
  /** Of Qwen3-0.6B, whose blocks are 3.5 MiB. */
  const blocksIn = (bytes: number): number => Math.floor(bytes / (3.5 * MIB));

  test('is what is taken unless a number is given', () => {
    for (const machine of [GPU, softwareOf(16)]) {
      expect(inF32(QWEN3, {}, machine)).toEqual(inF32(QWEN3, { kvCacheBytes: 'auto' }, machine));
    }
  });

  test('is four sequences of the context, or of 8,192 tokens', () => {
    expect(plan(CONFIG, {}, GPU)).toEqual([4 * 512, 256, 32, undefined]);
    expect(plan(QWEN3, {}, gpuOf(64))).toEqual([4 * 512, 256, 32, undefined]);
    expect(plan({ ...CONFIG, maxPositionEmbeddings: 2048 }, {}, GPU)).toEqual([4 * 128, 128, 32, undefined]);
  });

  test('is all sequences that run at once, as far as 256 MiB hold them', () => {
    expect(plan({ ...CONFIG, maxPositionEmbeddings: 100 }, {}, GPU)).toEqual([16 * 7, 7, 7, undefined]);
    expect(plan({ ...CONFIG, maxPositionEmbeddings: 1000 }, {}, GPU)).toEqual([364, 63, 32, undefined]);
    expect(plan({ ...CONFIG, maxPositionEmbeddings: 512 }, {}, softwareOf(16))).toEqual([8 * 32, 32, 32, undefined]);
    // Not beyond a quarter of the memory, and then it is no cut as long as it is four.
    expect(plan({ ...CONFIG, maxPositionEmbeddings: 512 }, {}, gpuOf(0.5))).toEqual([182, 32, 32, undefined]);
    expect(plan({ ...CONFIG, maxPositionEmbeddings: 1000 }, {}, gpuOf(0.5))).toEqual([182, 63, 32, 'gpu_memory_share']);
  });

  test('is a quarter of gpuMemoryBytes at most', () => {
    expect(plan(QWEN3, {}, GPU)).toEqual([blocksIn(4 * GIB), 256, 32, 'gpu_memory_share']);
    expect(plan(QWEN3, {}, gpuOf(4))).toEqual([blocksIn(GIB), 256, 32, 'gpu_memory_share']);
    expect(plan(QWEN3, { kvCacheDtype: 'f16' }, GPU)).toEqual([4 * 512, 256, 32, undefined]);
  });

  test('is one sequence of 4,096 tokens at least, or of the context', () => {
    expect(plan(QWEN3, {}, gpuOf(2))).toEqual([256, 256, 32, 'gpu_memory_share']); // 896 of 2,048 MiB
    expect(plan({ ...QWEN3, maxPositionEmbeddings: 2048 }, {}, gpuOf(1))).toEqual([128, 128, 32, 'gpu_memory_share']);
  });

  test('on a software adapter is 256 MiB at most, or that one sequence', () => {
    expect(plan(CONFIG, {}, softwareOf(16))).toEqual([364, 256, 32, 'software_adapter']);
    expect(plan(QWEN3, {}, softwareOf(16))).toEqual([256, 256, 32, 'software_adapter']);
    expect(plan(CONFIG, {}, softwareOf(0.75))).toEqual([273, 256, 32, 'gpu_memory_share']); // 192 MiB
  });

  test('goes by a maxModelLen, and holds it whatever it takes', () => {
    expect(plan(QWEN3, { maxModelLen: 2000 }, GPU)).toEqual([4 * 125, 125, 32, undefined]);
    expect(plan(QWEN3, { maxModelLen: 16_000 }, gpuOf(2))).toEqual([1000, 1000, 32, 'gpu_memory_share']);
    expect(plan(QWEN3, { maxModelLen: 40_000 }, gpuOf(64))).toEqual([2500, 2500, 32, undefined]);
    expect(plan(QWEN3, { maxModelLen: 6000 }, softwareOf(16))).toEqual([375, 375, 32, 'software_adapter']);
    expect(plan(CONFIG, { maxModelLen: 50_000 }, GPU)).toEqual([4 * 512, 512, 32, undefined]); // the model's own
  });
});
