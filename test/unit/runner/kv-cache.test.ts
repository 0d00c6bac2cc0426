import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { LoadSettings } from '../../../src/core/load-settings.ts';
import type { ModelConfig } from '../../../src/core/model-config.ts';
import { type BufferDevice, BufferPool } from '../../../src/gpu/buffers.ts';
import { countingDevice } from '../../../src/gpu/counting-device.ts';
import { reportCache } from '../../../src/runner/cache-report.ts';
import { fitCache } from '../../../src/runner/kv-cache.ts';
import { type Machine, planCache } from '../../../src/runner/kv-cache-plan.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const LIMITS = { maxBufferSize: GIB, maxStorageBufferBindingSize: GIB };
/** What counts of Qwen3-0.6B for its KV cache: 3.5 MiB a block in f32. */
const CONFIG: ModelConfig = {
  architecture: 'qwen3', name: 'Qwen3', vocabSize: 151_936, hiddenSize: 1024, intermediateSize: 3072,
  numLayers: 28, numHeads: 16, numKvHeads: 8, headSize: 128, ropeDimensions: 128, ropeTheta: 1_000_000,
  ropeStyle: 'half-split', ropeScalingFactor: 1, ropeFactors: false, qkvBias: false, qkNorm: true, rmsNormEps: 1e-6, maxPositionEmbeddings: 40_960, tiedEmbeddings: true,
};
const BLOCK = 3.5 * MIB;

beforeAll(() => {
  vi.stubGlobal('GPUBufferUsage', { COPY_SRC: 4, COPY_DST: 8, STORAGE: 128 });
});

/** Counts, and refuses whatever would take more than `budget` bytes at once. */
function deviceOf(budget: number): BufferDevice & { readonly tried: number[] } {
  const counting = countingDevice(LIMITS);
  const tried: number[] = [];
  const refused: boolean[] = [];
  let live = 0;
  const createBuffer: BufferDevice['createBuffer'] = (descriptor) => {
    const { size } = descriptor;
    if (live === 0) tried.push(size);
    live += size;
    refused.push(live > budget);
    return Object.assign(counting.createBuffer(descriptor), { destroy: () => void (live -= size) });
  };
  const popErrorScope = async (): Promise<GPUError | null> => (refused.shift() ? ({ message: 'no more' } as GPUError) : null);
  return { ...counting, createBuffer, popErrorScope, tried };
}

const bytesOf = (blocks: number): number => blocks * BLOCK;

async function fitted(options: LoadSettings, machine: Partial<Machine>, budget = Infinity, budgetedBlocks = Infinity) {
  const plan = planCache(CONFIG, { kvCacheDtype: 'f32', ...options }, { budgetBytes: 16 * GIB, isSoftware: false, maxNumSeqs: 16, ...machine });
  const device = deviceOf(budget);
  const fit = await fitCache(new BufferPool(device), CONFIG, plan, () => 'made', budgetedBlocks);
  const tried = device.tried.map((bytes) => (bytes * 2 * CONFIG.numLayers) / BLOCK);
  return { ...fit, tried, report: reportCache(fit) };
}

describe('a pool that the GPU refuses is halved', () => {
  test('down to what is enough, and only then below', async () => {
    expect((await fitted({}, {}, bytesOf(1170))).tried).toEqual([1170]);
    expect((await fitted({}, {}, bytesOf(1169))).tried).toEqual([1170, 585]);
    expect((await fitted({}, {}, bytesOf(256))).tried).toEqual([1170, 585, 292, 256]);
    expect(await fitted({}, {}, bytesOf(255))).toMatchObject({ tried: [1170, 585, 292, 256, 128], numBlocks: 128 });
    expect((await fitted({}, {}, bytesOf(32))).tried.at(-1)).toBe(32);
    await expect(fitted({}, {}, bytesOf(31))).rejects.toMatchObject({ code: 'out_of_memory' });
  });

  test('and below a number of bytes as ever', async () => {
    expect((await fitted({ kvCacheBytes: bytesOf(1000) }, {}, bytesOf(260))).tried).toEqual([1000, 500, 250]);
  });

  test('with a stop at a maxModelLen, which is never lowered', async () => {
    const options = { maxModelLen: 6000 };
    expect((await fitted(options, {}, bytesOf(375))).tried).toEqual([1170, 585, 375]);
    await expect(fitted(options, {}, bytesOf(374))).rejects.toMatchObject({ code: 'invalid_request', param: 'maxModelLen' });
  });
});

describe('what was cut is said, and why', () => {
  const helps = "set kvCacheDtype: 'f16' or 'int8', or set maxModelLen to the tokens you need.";
  test.each([
    {
      name: 'a quarter of the memory', options: {}, machine: { budgetBytes: 4 * GIB }, cuts: ['gpu_memory_share', 'gpu_memory_share'], level: 'warn',
      message: 'The context is 4,672 of the model\'s 40,960 tokens: the KV cache has 1,022 MiB in f32, 4,672 tokens for all tabs ' +
        `together (a quarter of the 4,096 MiB of gpuMemoryBytes). Raise kvCacheBytes or gpuMemoryBytes, ${helps}`,
    },
    {
      name: 'a quarter, with room for 8,192 tokens', options: {}, machine: {}, cuts: ['gpu_memory_share', 'gpu_memory_share'], level: 'info',
      message: /^The context is 18,720 of .* \(a quarter of the 16,384 MiB of gpuMemoryBytes\)\. Raise kvCacheBytes or gpuMemoryBytes, /,
    },
    {
      name: 'the least sequence', options: {}, machine: { budgetBytes: GIB }, cuts: ['gpu_memory_share', 'gpu_memory_share'], level: 'warn',
      message: /896 MiB .* \(one sequence of 4,096 tokens; a quarter of the 1,024 MiB of gpuMemoryBytes is less\)/,
    },
    {
      name: 'a software adapter', options: { kvCacheDtype: 'int8' }, machine: { isSoftware: true }, cuts: ['software_adapter', 'software_adapter'], level: 'info',
      message: 'The context is 4,528 of the model\'s 40,960 tokens: the KV cache has 256 MiB in int8, 4,528 tokens for all tabs ' +
        'together (256 MiB of a software adapter). Raise kvCacheBytes or set maxModelLen to the tokens you need.',
    },
    {
      name: 'four sequences', options: { kvCacheDtype: 'f16' }, machine: {}, cuts: ['kv_cache_auto', undefined], level: 'info',
      message: /^The context is 32,768 of .* \(4 sequences of 8,192 tokens\)\. Raise kvCacheBytes, set kvCacheDtype: 'int8', or /,
    },
    {
      name: 'a number of bytes', options: { kvCacheBytes: 256 * MIB }, machine: {}, cuts: ['kv_cache_bytes', undefined], level: 'warn',
      message: /^The context is 1,168 of .* has 256 MiB in f32, .* \(as kvCacheBytes says\)\. Raise kvCacheBytes, /,
    },
    {
      name: 'a maxModelLen', options: { maxModelLen: 2000 }, machine: {}, cuts: ['max_model_len', undefined], level: 'info',
      message: 'The context is 2,000 of the model\'s 40,960 tokens, as maxModelLen says; the KV cache has 1,750 MiB in f32, ' +
        '8,000 tokens for all tabs together (4 sequences of 2,000 tokens).',
    },
    {
      name: 'a maxModelLen and a quarter', options: { maxModelLen: 2000 }, machine: { budgetBytes: 4 * GIB },
      cuts: ['max_model_len', 'gpu_memory_share'], level: 'info', message: /tokens for all tabs together \(a quarter of [^)]*\)\.$/,
    },
  ] as const)('$name', async ({ options, machine, cuts: [contextCut, kvCacheCut], level, message }) => {
    const { report } = await fitted(options, machine);
    const text: unknown = typeof message === 'string' ? message : expect.stringMatching(message);
    expect(report).toEqual({ contextCut, kvCacheCut, level, message: text });
  });

  test('by the GPU', async () => {
    const auto = await fitted({}, {}, bytesOf(300));
    expect(auto.report).toEqual({
      contextCut: 'gpu_refused', kvCacheCut: 'gpu_refused', level: 'warn',
      message: expect.stringMatching(/^The context is 4,672 of .* has 1,022 MiB of 4,095 MiB in f32.*no more\)\. Close other programs and pages that use the GPU, use a smaller model, set/),
    });
    // As much as nobody complains of, but less than was asked for.
    const asked = await fitted({ kvCacheBytes: bytesOf(2000) }, {}, bytesOf(1000));
    expect(asked.report).toMatchObject({ kvCacheCut: 'gpu_refused', level: 'warn' });
    const enough = await fitted({}, {}, bytesOf(600));
    expect(enough.report).toMatchObject({ kvCacheCut: 'gpu_refused', level: 'info' });
  });

  test('by other models', async () => {
    const { report, numBlocks } = await fitted({}, {}, Infinity, 256);
    expect(numBlocks).toBe(256);
    expect(report).toMatchObject({ contextCut: 'gpu_memory', kvCacheCut: 'gpu_memory', level: 'warn' });
    expect(report.message).toContain('gpuMemoryBytes has no more beside the weights and other models');
  });

  test('by the largest buffer', async () => {
    const { report } = await fitted({ kvCacheBytes: 64 * GIB, maxModelLen: 40_960 }, {});
    expect(report).toMatchObject({ contextCut: undefined, kvCacheCut: 'buffer_size', level: 'warn' });
    expect(report.message).toMatch(/^The context is the model's own, 40,960 tokens; .* 57,344 MiB of 65,534 MiB in f32.*at most 1073741824 bytes\)\.$/);
  });
});
