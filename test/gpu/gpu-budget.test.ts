import { describe, expect, test } from 'vitest';
import type { ByteSource } from '../../src/loader/byte-source.ts';
import { readModelFile } from '../../src/loader/gguf.ts';
import type { GpuNeed } from '../../src/runner/gpu-budget.ts';
import { loadRunner, type LoadRunnerOptions } from '../../src/runner/load-runner.ts';
import { openMeteredGpu } from '../support/gpu-memory.ts';
import { memorySource } from '../support/gpu-runner.ts';
import { tinyModel } from '../support/tiny-model.ts';

const KV_BYTES = 8 * 2 ** 20;
const ENOUGH = new Error('seen enough');

interface Attempt {
  readonly need: GpuNeed;
  /** Bytes of all buffers when the first tensor is read; 0 where none is. */
  readonly live: number;
  readonly log: string;
  readonly error: unknown;
}

/** Loads as far as the first read of a tensor. */
async function load(
  bytes: Uint8Array<ArrayBuffer>,
  grant: (need: GpuNeed) => number,
  options: Partial<LoadRunnerOptions> = {},
): Promise<Attempt> {
  const metered = await openMeteredGpu();
  const { gpu } = metered;
  let need = { minBytes: NaN, wantedBytes: NaN, budgetBytes: NaN };
  let liveAtLast = 0;
  let log = '';
  const reserve: LoadRunnerOptions['reserve'] = async (asked) => {
    need = asked;
    expect(metered.live()).toBe(0);
    return grant(asked);
  };
  const memory = memorySource(bytes);
  const read: ByteSource['read'] = async (offset, length) => {
    if (offset === 0) return memory.read(offset, length);
    liveAtLast = metered.live();
    throw ENOUGH;
  };
  const file = await readModelFile({ ...memory, read });
  const all = { file, gpu, kvCacheBytes: KV_BYTES, log: (_: string, message: string) => void (log = message), ...options, reserve };
  const error: unknown = await loadRunner(all).catch((failure: unknown) => failure);
  expect(metered.live()).toBe(0); // a load that fails leaves nothing
  return { need, live: liveAtLast, log, error };
}

describe('what the header says is needed is what is allocated, to the byte', () => {
  const cases = [
    { preset: 'gqa9', type: 'Q4_0', options: {} },
    { preset: 'gqa3', type: 'Q8_0', options: { kvCacheDtype: 'int8' } },
    { preset: 'babble', type: 'mixed', options: { maxModelLen: 512, blockTransfer: true } },
    { preset: 'wide', type: 'Q4_1', options: { limits: { maxNumSeqs: 16, maxNumBatchedTokens: 64, maxStepsPerPlan: 4 } } },
  ] as const;
  test.each(cases)('$preset $type', async ({ preset, type, options }) => {
    const { need, live } = await load(tinyModel({ preset, type }), ({ wantedBytes }) => wantedBytes, options);
    expect(live).toBe(need.wantedBytes);
    expect(need.minBytes).toBeLessThan(need.wantedBytes);
  });
});

test('with the least, there is room for the shortest sequence that is of use; with more, as many blocks as fit', async () => {
  const bytes = tinyModel({ preset: 'babble', type: 'mixed' });
  const least = await load(bytes, ({ minBytes }) => minBytes);
  expect(least.live).toBe(least.need.minBytes);
  expect(least.log).toMatch(/512 tokens: the memory that models may take.*\(gpuMemoryBytes\)/);
  const more = await load(bytes, ({ minBytes }) => minBytes + 1_000_000);
  const granted = more.need.minBytes + 1_000_000;
  expect(more.live).toBeLessThanOrEqual(granted);
  expect(more.live).toBeGreaterThan(granted - 100_000); // a block has 32 KiB, and a little beside it
});

test('what does not fit is refused with the numbers, and nothing is allocated or read but the header', async () => {
  const bytes = tinyModel({ preset: 'babble', type: 'mixed' });
  const { need } = await load(bytes, ({ minBytes }) => minBytes);
  const gpuMemoryBytes = need.minBytes - 1;
  const { error, live } = await load(bytes, ({ minBytes }) => minBytes, { gpuMemoryBytes });
  expect(error).toMatchObject({
    code: 'out_of_memory',
    message: expect.stringMatching(/needs \d+ MiB.*gpuMemoryBytes allows \d+ MiB.*smaller quantisation/s),
    details: { neededBytes: need.minBytes, budgetBytes: gpuMemoryBytes },
  });
  expect(live).toBe(0);
});

test('a matrix that no buffer of the adapter holds is refused likewise', async () => {
  const metered = await openMeteredGpu({ maxBytes: 40_000 });
  const { gpu } = metered;
  const file = await readModelFile(memorySource(tinyModel({ preset: 'babble', type: 'mixed' })));
  const details = { budgetBytes: 40_000, neededBytes: expect.any(Number) };
  await expect(loadRunner({ file, gpu, kvCacheBytes: KV_BYTES })).rejects.toMatchObject({ code: 'out_of_memory', details });
  expect(metered.live()).toBe(0);
});

test('a budget that is no number of bytes is refused', async () => {
  const file = await readModelFile(memorySource(tinyModel({ type: 'Q8_0' })));
  for (const gpuMemoryBytes of [0, -1, NaN, Infinity]) {
    const refused = { code: 'invalid_request', param: 'gpuMemoryBytes' };
    await expect(loadRunner({ file, gpuMemoryBytes })).rejects.toMatchObject(refused);
  }
});
