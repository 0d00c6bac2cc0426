import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { ProfileOptions, StepProfile } from '../../src/core/profile.ts';
import { openGpu } from '../../src/gpu/device.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { blocksFor, loadBytes, readLogits, step, TestSequence } from '../support/gpu-runner.ts';
import { tinyModel } from '../support/tiny-model.ts';

// Where the GPU's time goes, asked of a real step; and that nothing is different for having been asked.

const SLOTS = 4;
const LAYERS = 2;
let loaded: LoadedRunner;
beforeAll(async () => {
  loaded = await loadBytes(tinyModel({ preset: 'gqa3', type: 'Q4_1' }), { limits: { maxNumSeqs: SLOTS, maxStepsPerPlan: 4 } });
}, 120_000);
afterAll(() => loaded?.destroy());

function sequence(slot = 0): TestSequence {
  const tokenIds = Array.from({ length: 20 }, (_, i) => 5 + i + slot);
  return new TestSequence({ slot, tokenIds, blockTable: blocksFor(loaded.scheduler, slot, 60) });
}

/** Asks for a profile; resolves when it waits for steps. */
async function ask(options: ProfileOptions = {}): Promise<{ profile: Promise<StepProfile> }> {
  const created = vi.spyOn(GPUDevice.prototype, 'createQuerySet');
  const profile = loaded.runner.profiler.profile({ steps: 4, phase: 'decode', timeoutMs: 60_000, ...options }, undefined);
  profile.catch(() => {});
  await vi.waitUntil(() => created.mock.calls.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  created.mockRestore();
  return { profile };
}

test('a profile of decode steps has every op of the step, in order, and time to show for it', async ({ skip }) => {
  if (!loaded.device.features.has('timestamp-query')) skip('this adapter has no timestamps');
  const decoding = sequence();
  await step(loaded, [[decoding, 32]]);
  const before = loaded.counters();
  const { profile } = await ask({ steps: 16 });
  for (let i = 0; i < 16; i++) await step(loaded, [[decoding, 1]]);
  const after = loaded.counters();
  const { kernels, dispatches, ...found } = await profile;
  expect(found).toMatchObject({ phase: 'decode', steps: 16, rows: 1, limits: undefined, adapter: loaded.adapter });
  const dispatched = (after.dispatches - before.dispatches) / 16;
  expect(dispatches).toHaveLength(dispatched);
  expect(kernels.reduce((sum, { calls }) => sum + calls, 0)).toBe(dispatched);
  expect(dispatches[0]).toMatchObject({ name: 'embed', layer: undefined });
  expect(dispatches.at(-1)).toMatchObject({ name: 'sample-final', layer: undefined });
  for (let layer = 0; layer < LAYERS; layer++) {
    const names = dispatches.filter((each) => each.layer === layer).map(({ name }) => name);
    expect(names.some((name) => name.startsWith('attention'))).toBe(true);
    expect(names).toEqual(dispatches.filter((each) => each.layer === 0).map(({ name }) => name));
  }
  // A software adapter takes some 10 us a dispatch at least; 16 steps are measured in 100 us.
  expect(found.ms).toBeGreaterThan(0);
  expect(found.ms).toBeLessThan(1000);
  expect(found.spanMs).toBeGreaterThanOrEqual(found.ms * 0.99);
  expect(found.lostSpans).toBe(0);
  expect(kernels.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  const { vocabSize, hiddenSize, numHeads, numKvHeads, headSize } = loaded.config;
  const head = kernels.find(({ name, macs }) => name.startsWith('matmul') && macs === vocabSize * hiddenSize);
  expect(head?.bytes).toBeGreaterThan(0.5 * vocabSize * hiddenSize); // four bits a weight
  const attended = 28.5; // from 21 tokens to 36
  const attention = kernels.find(({ name }) => name === 'attention');
  expect(attention?.macs).toBe(2 * LAYERS * attended * numHeads * headSize);
  expect(attention?.bytes).toBeGreaterThan(2 * LAYERS * attended * numKvHeads * headSize * 4);
});

test('a step’s tokens and logits are the same, to the last bit, and the next step is an ordinary one', async ({ skip }) => {
  if (!loaded.device.features.has('timestamp-query')) skip('this adapter has no timestamps');
  const [plain, profiled] = [sequence(0), sequence(1)];
  for (const each of [plain, profiled]) each.tokenIds.splice(0, 20, ...sequence().tokenIds);
  const run = async (each: TestSequence): Promise<readonly Uint32Array[]> => {
    const bits: Uint32Array[] = [];
    for (let i = 0; i < 3; i++) {
      await step(loaded, [[each, 32]]);
      bits.push(...(await readLogits(loaded, 1)).map((logits) => new Uint32Array(logits.slice().buffer)));
    }
    return bits;
  };
  const expected = await run(plain);
  const { profile } = await ask({ steps: 2 });
  const passes = vi.spyOn(GPUCommandEncoder.prototype, 'beginComputePass');
  const begun = loaded.counters();
  const found = await run(profiled);
  expect(found).toEqual(expected);
  expect(profiled.tokenIds).toEqual(plain.tokenIds);
  expect((await profile).steps).toBe(2);
  // The prompt's step samples a token and feeds 20: no decode step. The two after it are, a pass for each dispatch.
  const { dispatches } = await profile;
  const perStep = dispatches.length;
  expect(passes).toHaveBeenCalledTimes(1 + 2 * perStep);

  const creators = Object.getOwnPropertyNames(GPUDevice.prototype).filter((name) => name.startsWith('create'));
  const created = creators.map((name) => vi.spyOn(GPUDevice.prototype, name as 'createBuffer'));
  passes.mockClear();
  const before = loaded.counters();
  await step(loaded, [[profiled, 1]]);
  expect(passes.mock.calls).toEqual([[]]);
  expect(created.map(({ mock }) => mock.calls.length).reduce((sum, calls) => sum + calls)).toBe(1); // the encoder
  const after = loaded.counters();
  expect(after.submits - before.submits).toBe(1);
  expect(after.dispatches - before.dispatches).toBe(perStep);
  expect(after.bindGroupsCreated).toBe(begun.bindGroupsCreated);
  vi.restoreAllMocks();
});

test('a plan of several steps may hold the end of a profile; a prompt’s step is no decode step', async ({ skip }) => {
  if (!loaded.device.features.has('timestamp-query')) skip('this adapter has no timestamps');
  const [decoding, prefilling] = [sequence(0), sequence(1)];
  await step(loaded, [[decoding, 32]]);
  const decode = await ask({ steps: 3 });
  await step(loaded, [[decoding, 1]], 4);
  expect(await decode.profile).toMatchObject({ phase: 'decode', steps: 3, rows: 1 });
  const prefill = await ask({ steps: 2, phase: 'prefill' });
  await step(loaded, [[decoding, 1]]);
  await step(loaded, [[decoding, 1], [prefilling, 4]]);
  await step(loaded, [[decoding, 1], [prefilling, 10]]);
  expect(await prefill.profile).toMatchObject({ phase: 'prefill', steps: 2, rows: 8 });
});

test('without a step in time it says what to do; with some it has those; the next one waits for its turn', async ({ skip }) => {
  if (!loaded.device.features.has('timestamp-query')) skip('this adapter has no timestamps');
  const none = await ask({ timeoutMs: 20 });
  await expect(none.profile).rejects.toMatchObject({ code: 'deadline_exceeded', message: expect.stringContaining('send a request') });
  const decoding = sequence();
  await step(loaded, [[decoding, 32]]);
  const first = await ask({ steps: 50, timeoutMs: 1000 });
  const second = loaded.runner.profiler.profile({ steps: 1, phase: 'decode', timeoutMs: 60_000 }, undefined);
  await step(loaded, [[decoding, 1]]);
  await step(loaded, [[decoding, 1]]);
  expect(await first.profile).toMatchObject({ steps: 2 });
  let isDone = false;
  void second.finally(() => void (isDone = true));
  for (let i = 0; i < 30 && !isDone; i++) {
    await step(loaded, [[decoding, 1]]);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(await second).toMatchObject({ steps: 1 });
});

test('a GPU that refuses the queries fails the profile, and no step', async ({ skip }) => {
  if (!loaded.device.features.has('timestamp-query')) skip('this adapter has no timestamps');
  const create = loaded.device.createQuerySet.bind(loaded.device);
  vi.spyOn(GPUDevice.prototype, 'createQuerySet').mockImplementation((wanted) => create({ ...wanted, count: 100_000 }));
  const profile = loaded.runner.profiler.profile({ steps: 1, phase: 'decode', timeoutMs: 1000 }, undefined);
  await expect(profile).rejects.toMatchObject({ code: 'internal' });
  vi.restoreAllMocks();
  await step(loaded, [[sequence(), 32]]);
});

test('where there are no timestamps it is said so', async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const without = { requestAdapter: async () => adapter } as unknown as GPU;
  const request = vi.spyOn(GPUAdapter.prototype, 'requestDevice').mockImplementation(function plain(this: GPUAdapter, descriptor) {
    request.mockRestore();
    const requiredFeatures = [...(descriptor?.requiredFeatures ?? [])].filter((feature) => feature !== 'timestamp-query');
    return this.requestDevice({ ...descriptor, requiredFeatures });
  });
  const other = await loadBytes(tinyModel({ preset: 'gqa3', type: 'Q4_1' }), { gpu: await openGpu(without) });
  const profile = other.runner.profiler.profile({ steps: 1, phase: 'decode', timeoutMs: 1000 }, undefined);
  await expect(profile).rejects.toMatchObject({ code: 'profiling_unavailable' });
  other.destroy();
});
