import { afterEach, describe, expect, test } from 'vitest';
import type { ByteSource } from '../../src/loader/byte-source.ts';
import { readModelFile } from '../../src/loader/gguf.ts';
import type { GpuNeed } from '../../src/runner/gpu-budget.ts';
import { type LoadedRunner, loadRunner, type LoadRunnerOptions } from '../../src/runner/load-runner.ts';
import { openMeteredGpu } from '../support/gpu-memory.ts';
import { memorySource } from '../support/gpu-runner.ts';
import { tinyModel } from '../support/tiny-model.ts';

let loaded: LoadedRunner | undefined;
afterEach(() => loaded?.destroy());

const KV_BYTES = 8 * 2 ** 20;

/** What a load asks for, and what it then has. */
async function load(bytes: Uint8Array<ArrayBuffer>, grant: (need: GpuNeed) => number, options: Partial<LoadRunnerOptions> = {}) {
  const { gpu, live } = await openMeteredGpu();
  let need: GpuNeed | undefined;
  let liveWhenAsked = NaN;
  const reserve: LoadRunnerOptions['reserve'] = async (asked) => {
    need = asked;
    liveWhenAsked = live();
    return grant(asked);
  };
  const file = await readModelFile(memorySource(bytes));
  loaded = await loadRunner({ file, gpu, kvCacheBytes: KV_BYTES, ...options, reserve });
  if (need === undefined) throw new Error('nothing was asked');
  expect(liveWhenAsked).toBe(0);
  return { need, loaded, live: live() };
}

describe('what the header says is needed is what is allocated, to the byte', () => {
  const cases = [
    { preset: 'gqa9', type: 'Q4_0', options: {} },
    { preset: 'gqa3', type: 'Q8_0', options: { kvCacheDtype: 'int8' } },
    { preset: 'babble', type: 'mixed', options: { maxModelLen: 512, blockTransfer: true } },
    { preset: 'wide', type: 'Q4_1', options: { limits: { maxNumSeqs: 16, maxNumBatchedTokens: 64, maxStepsPerPlan: 4 } } },
  ] as const;
  test.each(cases)('$preset $type', async ({ preset, type, options }) => {
    const { need, loaded: { gpuBytes }, live } = await load(tinyModel({ preset, type }), (asked) => asked.wantedBytes, options);
    expect([gpuBytes, live]).toEqual([need.wantedBytes, need.wantedBytes]);
    expect(need.minBytes).toBeLessThan(need.wantedBytes);
  });
});

test('with the least, there is room for the shortest sequence that is of use; with more, as many blocks as fit', async () => {
  const bytes = tinyModel({ preset: 'babble', type: 'mixed' });
  const least = await load(bytes, ({ minBytes }) => minBytes);
  expect(least.live).toBe(least.need.minBytes);
  expect(least.loaded.scheduler).toMatchObject({ maxModelLen: 512, numBlocks: 32 });
  least.loaded.destroy();
  const granted = least.need.minBytes + 1_000_000;
  const more = await load(bytes, () => granted);
  expect(more.live).toBeLessThanOrEqual(granted);
  expect(more.live).toBeGreaterThan(granted - 2 * (more.loaded.kvCacheBytes / more.loaded.scheduler.numBlocks));
});

test('what does not fit is refused with the numbers, and nothing is allocated or read but the header', async () => {
  const bytes = tinyModel({ preset: 'babble', type: 'mixed' });
  const { need, loaded: first } = await load(bytes, ({ wantedBytes }) => wantedBytes);
  first.destroy();
  const { gpu, live } = await openMeteredGpu();
  const reads: number[] = [];
  const inner = memorySource(bytes);
  const source: ByteSource = {
    ...inner,
    read: (offset, length) => {
      reads.push(offset);
      return inner.read(offset, length);
    },
  };
  const gpuMemoryBytes = need.minBytes - 1;
  const file = await readModelFile(source);
  await expect(loadRunner({ file, gpu, kvCacheBytes: KV_BYTES, gpuMemoryBytes })).rejects.toMatchObject({
    code: 'out_of_memory',
    message: expect.stringMatching(/needs \d+ MiB.*gpuMemoryBytes allows \d+ MiB.*smaller quantisation/s),
    details: { neededBytes: need.minBytes, budgetBytes: gpuMemoryBytes },
  });
  expect(live()).toBe(0);
  expect(reads.every((offset) => offset === 0)).toBe(true);
});

test('a matrix that no buffer of the adapter holds is refused likewise', async () => {
  const { gpu, live } = await openMeteredGpu({ maxBytes: 40_000 });
  const file = await readModelFile(memorySource(tinyModel({ preset: 'babble', type: 'mixed' })));
  const details = { budgetBytes: 40_000, neededBytes: expect.any(Number) };
  await expect(loadRunner({ file, gpu, kvCacheBytes: KV_BYTES })).rejects.toMatchObject({ code: 'out_of_memory', details });
  expect(live()).toBe(0);
});

test('a budget that is no number of bytes is refused', async () => {
  const file = await readModelFile(memorySource(tinyModel({ type: 'Q8_0' })));
  for (const gpuMemoryBytes of [0, -1, NaN, Infinity]) {
    const refused = { code: 'invalid_request', param: 'gpuMemoryBytes' };
    await expect(loadRunner({ file, gpuMemoryBytes })).rejects.toMatchObject(refused);
  }
});
