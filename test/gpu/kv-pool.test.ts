import { afterEach, expect, test } from 'vitest';
import { TabserveError } from '../../src/core/errors.ts';
import type { LoadedRunner, LoadRunnerOptions } from '../../src/runner/load-runner.ts';
import { type MemoryLimits, type MeteredGpu, openMeteredGpu } from '../support/gpu-memory.ts';
import { blocksFor, generate, loadBytes, TestSequence } from '../support/gpu-runner.ts';
import { writeGguf } from '../support/gguf-writer.ts';
import { tinyModelContents } from '../support/tiny-model.ts';

// The KV pool is as large as the GPU has it. A model with a context of 4096; a block of it has 6 KiB in each buffer.

const CONTENTS = tinyModelContents({ preset: 'gqa9', type: 'Q4_1', seed: 3 });
const CONTEXT = { 'llama.context_length': { type: 'u32', value: 4096 } } as const;
const MODEL = writeGguf({ ...CONTENTS, metadata: { ...CONTENTS.metadata, ...CONTEXT } });
const LAYER_BLOCK = 3 * 32 * 16 * 4; // KV heads, head size, tokens, f32
const BLOCK = 2 * 2 * LAYER_BLOCK; // layers, keys and values

const loads: LoadedRunner[] = [];
/** The same on every adapter. */
const OPTIONS = { kvCacheBytes: 512 * BLOCK, limits: { maxNumBatchedTokens: 32, maxNumSeqs: 8, maxStepsPerPlan: 1 } };
afterEach(() => {
  for (const loaded of loads.splice(0)) loaded.destroy();
});

interface Load {
  readonly loaded: LoadedRunner;
  readonly metered: MeteredGpu;
  readonly log: readonly string[];
}

async function load(limits: MemoryLimits, options: Partial<LoadRunnerOptions> = {}): Promise<Load> {
  const metered = await openMeteredGpu(limits);
  const log: string[] = [];
  const loaded = await loadBytes(MODEL, {
    ...OPTIONS,
    gpu: metered.gpu,
    log: (level, message) => log.push(`${level}: ${message}`),
    ...options,
  });
  loads.push(loaded);
  return { loaded, metered, log };
}

/** The error of a load that fails, and what it left behind. */
async function failure(limits: MemoryLimits, options: Partial<LoadRunnerOptions> = {}) {
  const metered = await openMeteredGpu(limits);
  const error: unknown = await loadBytes(MODEL, { ...OPTIONS, gpu: metered.gpu, ...options }).then(
    () => 'it loaded',
    (reason: unknown) => reason,
  );
  if (!(error instanceof TabserveError)) throw new Error(`no TabserveError, but ${String(error)}`);
  return { error, metered };
}

/** Bytes of everything but the pool, for a pool of this many blocks. */
async function bytesBeside(numBlocks: number): Promise<number> {
  const { loaded, metered } = await load({}, { kvCacheBytes: numBlocks * BLOCK });
  expect(loaded.scheduler.numBlocks).toBe(numBlocks);
  return metered.live() - numBlocks * BLOCK;
}

function say({ loaded }: Load): Promise<readonly number[]> {
  const tokenIds = Array.from({ length: 40 }, (_, i) => 7 + i);
  return generate(loaded, new TestSequence({ tokenIds, blockTable: blocksFor(loaded.scheduler, 0, 60) }), 16);
}

test('what is granted at once is had as asked, and the log says so', async () => {
  const { loaded, metered, log } = await load({});
  expect(loaded).toMatchObject({ kvCacheBytes: 512 * BLOCK, scheduler: { numBlocks: 512, maxModelLen: 4096 } });
  expect(metered.refused).toEqual([]);
  expect(log).toEqual([expect.stringMatching(/^info: The context is the model's own, 4,096 tokens; .* 12 MiB in f32, 8,192 tokens /)]);
  expect(loaded).toMatchObject({ contextCut: undefined, kvCacheCut: undefined });
});

test('a pool that is refused is freed and halved until it fits, and answers as ever', async () => {
  const beside = await bytesBeside(128);
  const budget = beside + 200 * BLOCK; // 512 and 256 blocks are too many
  const shrunk = await load({ budget });
  const { loaded, metered, log } = shrunk;
  expect(loaded.scheduler).toMatchObject({ numBlocks: 128, maxModelLen: 2048 });
  expect(loaded.kvCacheBytes).toBe(128 * BLOCK);
  expect(metered.live()).toBe(beside + 128 * BLOCK); // nothing of the first two is left
  expect(new Set(metered.refused).size).toBeGreaterThan(1);
  expect(log).toEqual([expect.stringMatching(/^warn: The context is 2,048 of .* 4,096 tokens: .* 3 MiB of 12 MiB in f32.*the test's GPU has/)]);
  expect(loaded).toMatchObject({ contextCut: 'gpu_refused', kvCacheCut: 'gpu_refused' });
  expect(await say(shrunk)).toEqual(await say(await load({})));
});

test('what fits exactly is not halved', async () => {
  const beside = await bytesBeside(512);
  expect((await load({ budget: beside + 512 * BLOCK })).loaded.scheduler.numBlocks).toBe(512);
  expect((await load({ budget: beside + 512 * BLOCK - 1 })).loaded.scheduler.numBlocks).toBe(256);
});

test('less than 512 tokens is refused with the numbers, and everything is freed', async () => {
  const least = 32 * BLOCK;
  const beside = await bytesBeside(32);
  expect((await load({ budget: beside + least })).loaded.scheduler).toMatchObject({ numBlocks: 32, maxModelLen: 512 });
  const { error, metered } = await failure({ budget: beside + least - 1 });
  expect(error).toMatchObject({ code: 'out_of_memory' });
  for (const word of [String(512 * BLOCK), String(least), '512 tokens']) expect(error.message).toContain(word);
  expect(metered.live()).toBe(0);
});

test('a smaller budget of the user’s own is its own least', async () => {
  const beside = await bytesBeside(5);
  const { error } = await failure({ budget: beside + 5 * BLOCK - 1 }, { kvCacheBytes: 5 * BLOCK });
  expect(error).toMatchObject({ code: 'out_of_memory', message: expect.stringContaining('80 tokens') });
});

test('the weights come first: where they do not fit, no KV buffer is asked for', async () => {
  const { error, metered } = await failure({ budget: 100_000 });
  expect(error).toMatchObject({ code: 'out_of_memory', message: expect.stringMatching(/blk\.\d+\.|token_embd|output/) });
  expect(metered.refused.some((label) => /keys|values/.test(label))).toBe(false);
  expect(metered.live()).toBe(0);
});

test('the pool shrinks to what maxModelLen takes, not past it to a half', async () => {
  const beside = await bytesBeside(188);
  const { loaded } = await load({ budget: beside + 200 * BLOCK }, { maxModelLen: 3000 });
  expect(loaded.scheduler).toMatchObject({ numBlocks: 188, maxModelLen: 3000 });
});

test('a maxModelLen that the GPU has no room for is refused with the tokens that it has', async () => {
  const budget = (await bytesBeside(128)) + 180 * BLOCK;
  const { error, metered } = await failure({ budget }, { maxModelLen: 3000 });
  expect(error).toMatchObject({ code: 'invalid_request', param: 'maxModelLen' });
  const [, fits = NaN] = /for (\d+) tokens/.exec(error.message) ?? [];
  expect(error.message).toContain('3000');
  expect(metered.live()).toBe(0);
  const { loaded } = await load({ budget }, { maxModelLen: Number(fits) });
  expect(loaded.scheduler.maxModelLen).toBe(Number(fits));
});

test('no KV buffer is larger than the device binds', async () => {
  const maxBytes = 220 * LAYER_BLOCK + 100;
  const capped = await load({ maxBytes });
  const { loaded, metered, log } = capped;
  expect(loaded.scheduler).toMatchObject({ numBlocks: 220, maxModelLen: 3520 });
  expect(metered.refused).toEqual([]);
  expect(log).toEqual([expect.stringMatching(new RegExp(`^warn: The context is 3,520 of .* 6 MiB of 12 MiB in f32.*${maxBytes} bytes`))]);
  const { loaded: int8 } = await load({ maxBytes }, { kvCacheDtype: 'int8' });
  expect(int8.scheduler.numBlocks).toBe(Math.floor(maxBytes / (3 * 16 * (32 + 4))));
  expect(await say(capped)).toEqual(await say(await load({})));
  const { error } = await failure({ maxBytes }, { maxModelLen: 4000 });
  expect(error).toMatchObject({ code: 'invalid_request', param: 'maxModelLen', message: expect.stringContaining('3520') });
});

test.each([
  [{ kvCacheDtype: 'fp8' as 'int8' }, 'kvCacheDtype'],
  [{ kvCacheBytes: NaN }, 'kvCacheBytes'],
  [{ kvCacheBytes: -1 }, 'kvCacheBytes'],
  [{ maxModelLen: 1.5 }, 'maxModelLen'],
  [{ maxModelLen: 0 }, 'maxModelLen'],
])('%o is refused', async (options, param) => {
  const { error } = await failure({}, options);
  expect(error).toMatchObject({ code: 'invalid_request', param });
});
