import { describe, expect, test } from 'vitest';
import type { LoadSettings } from '../../src/core/load-settings.ts';
import { BufferPool } from '../../src/gpu/buffers.ts';
import type { ByteSource } from '../../src/core/byte-source.ts';
import { readModelFile } from '../../src/formats/gguf.ts';
import { readModelConfig } from '../../src/models/architectures.ts';
import { allocate, type AllocateOptions } from '../../src/runner/allocate.ts';
import type { GpuNeed } from '../../src/runner/gpu-budget.ts';
import { planCache } from '../../src/runner/kv-cache-plan.ts';
import { loadRunner } from '../../src/runner/load-runner.ts';
import { openMeteredGpu } from '../support/gpu-memory.ts';
import { memorySource } from '../support/gpu-runner.ts';
import { tinyModel, type TinyShape } from '../support/tiny-model.ts';

const KV_BYTES = 8 * 2 ** 20;
const SMALL_STEPS = { maxNumBatchedTokens: 32, maxNumSeqs: 4, maxStepsPerPlan: 1 };
const F32 = { numerics: 'f32', wideScales: true, maxSlices: 1, maxBindingBytes: 128 * 2 ** 20 } as const;

type Case = LoadSettings & Partial<Pick<AllocateOptions, 'limits' | 'matrices' | 'blockTransfer'>>;

/** What a model says that it needs, and what it then has. No shaders are compiled. */
async function allocated(bytes: Uint8Array<ArrayBuffer>, grant: (need: GpuNeed) => number, options: Case = {}) {
  const metered = await openMeteredGpu();
  const { device } = metered.gpu;
  const file = await readModelFile(memorySource(bytes));
  const config = readModelConfig(file);
  const plan = planCache(config, { kvCacheBytes: KV_BYTES, ...options }, { budgetBytes: 2 ** 30, isSoftware: true, maxNumSeqs: 4 });
  const { matrices = F32, limits = SMALL_STEPS, blockTransfer = false } = options;
  let need: GpuNeed | undefined;
  const reserve = async (asked: GpuNeed): Promise<number> => {
    expect(metered.live()).toBe(0);
    need = asked;
    return grant(asked);
  };
  const shared = { file, config, plan, limits, matrices, numerics: matrices.numerics, blockTransfer, reserve };
  const buffers = new BufferPool(device);
  const { fitted } = await allocate(shared, buffers);
  const live = metered.live();
  expect(buffers.bytes).toBe(live);
  buffers.destroy();
  device.destroy();
  if (need === undefined) throw new Error('nothing was asked');
  return { need, live, fitted };
}

describe('what the header says is needed is what is allocated, to the byte', () => {
  const cases = [
    { preset: 'gqa9', type: 'Q4_0', options: {} },
    { preset: 'gqa9', type: 'Q4_1', options: { matrices: { ...F32, wideScales: false } } },
    { preset: 'gqa3', type: 'Q8_0', options: { kvCacheDtype: 'int8' } },
    { preset: 'narrow', type: 'Q8_0', options: { kvCacheDtype: 'f16', matrices: { ...F32, numerics: 'dp4a' } } },
    { preset: 'babble', type: 'mixed', options: { maxModelLen: 512, blockTransfer: true } },
    { preset: 'qwen2', type: 'mixed', options: {}, changes: { vocabSize: 261, hiddenSize: 90, numHeads: 3, headSize: 20, intermediateSize: 173 } },
    { preset: 'babble', type: 'mixed', options: { kvCacheBytes: 'auto' } },
    { preset: 'wide', type: 'Q4_1', options: { limits: { maxNumSeqs: 16, maxNumBatchedTokens: 64, maxStepsPerPlan: 4, maxPlansInFlight: 2 } } },
  ] as const;
  test.each<(typeof cases)[number] & { readonly changes?: Partial<TinyShape> }>(cases)('$preset $type $options $changes', async ({ preset, type, options, changes }) => {
    const { need, live } = await allocated(tinyModel({ preset, type, ...changes }), ({ wantedBytes }) => wantedBytes, options);
    expect(live).toBe(need.wantedBytes);
    expect(need.minBytes).toBeLessThan(need.wantedBytes);
  });
});

test('with the least, there is room for the shortest sequence that is of use; with more, as many blocks as fit', async () => {
  const bytes = tinyModel({ preset: 'babble', type: 'mixed' });
  const least = await allocated(bytes, ({ minBytes }) => minBytes);
  expect(least.live).toBe(least.need.minBytes);
  expect(least.fitted.made.scheduler).toMatchObject({ maxModelLen: 512, numBlocks: 32 });
  expect(least.fitted.cut).toEqual({ reason: 'gpu_memory', why: expect.stringContaining('gpuMemoryBytes') });
  const granted = least.need.minBytes + 1_000_000;
  const more = await allocated(bytes, () => granted);
  expect(more.live).toBeLessThanOrEqual(granted);
  expect(more.live).toBeGreaterThan(granted - 100_000); // a block has 32 KiB, and a little beside it
});

test('what does not fit is refused with the numbers, and nothing is allocated or read but the header', async () => {
  const metered = await openMeteredGpu();
  const memory = memorySource(tinyModel({ preset: 'babble', type: 'mixed' }));
  const offsets: number[] = [];
  const read: ByteSource['read'] = (offset, length) => {
    offsets.push(offset);
    return memory.read(offset, length);
  };
  const file = await readModelFile({ ...memory, read });
  const refused = loadRunner({ file, gpu: metered.gpu, kvCacheBytes: KV_BYTES, gpuMemoryBytes: 2 ** 20 });
  await expect(refused).rejects.toMatchObject({
    code: 'out_of_memory',
    message: expect.stringMatching(/needs \d+ MiB.*gpuMemoryBytes allows 1 MiB.*smaller quantisation/s),
    details: { neededBytes: expect.any(Number), budgetBytes: 2 ** 20 },
  });
  expect([metered.live(), ...offsets]).toEqual([0, 0]);
});

test('a matrix that no buffer of the adapter holds is refused likewise', async () => {
  const metered = await openMeteredGpu({ maxBytes: 40_000 });
  const { gpu } = metered;
  const file = await readModelFile(memorySource(tinyModel({ preset: 'babble', type: 'mixed' })));
  const details = { budgetBytes: 40_000, neededBytes: expect.any(Number) };
  await expect(loadRunner({ file, gpu, kvCacheBytes: KV_BYTES })).rejects.toMatchObject({ code: 'out_of_memory', details });
  expect(metered.live()).toBe(0);
});
