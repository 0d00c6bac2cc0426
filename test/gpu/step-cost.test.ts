import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { LAST_SAMPLED, type ScheduledRequest, type SchedulerOutput } from '../../src/core/scheduler-output.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { blocksFor, generate, loadBytes, loadWhole, step, TestSequence } from '../support/gpu-runner.ts';
import { tinyModel } from '../support/tiny-model.ts';

// What a step asks of WebGPU, counted at WebGPU itself: a hidden allocation in the loop would show here first.

const SLOTS = 8;
const NUM_LAYERS = 2;
let loaded: LoadedRunner;
beforeAll(async () => {
  const limits = { maxNumSeqs: SLOTS, maxStepsPerPlan: 4, maxPlansInFlight: 2 };
  loaded = await loadWhole(tinyModel({ preset: 'smollm2', type: 'mixed', numLayers: NUM_LAYERS }), { limits });
}, 120_000);
afterAll(() => loaded?.destroy());
afterEach(() => void vi.restoreAllMocks());

/** Counts calls of everything that creates, submits, writes or reads, until the end of the test. */
function watchWebGpu() {
  const creators = Object.getOwnPropertyNames(GPUDevice.prototype).filter((name) => name.startsWith('create'));
  const created = creators.map((name) => {
    const { mock } = vi.spyOn(GPUDevice.prototype, name as 'createBuffer');
    return [name, () => mock.calls.length] as const;
  });
  const submits = vi.spyOn(GPUQueue.prototype, 'submit');
  const writes = vi.spyOn(GPUQueue.prototype, 'writeBuffer');
  const passes = vi.spyOn(GPUCommandEncoder.prototype, 'beginComputePass');
  const dispatches = vi.spyOn(GPUComputePassEncoder.prototype, 'dispatchWorkgroups');
  const maps = vi.spyOn(GPUBuffer.prototype, 'mapAsync');
  const copies = vi.spyOn(GPUCommandEncoder.prototype, 'copyBufferToBuffer');
  return {
    creators,
    counts: () => ({
      created: Object.fromEntries(created.flatMap(([name, count]) => (count() > 0 ? [[name, count()]] : []))),
      submits: submits.mock.calls.length,
      writes: writes.mock.calls.length,
      passes: passes.mock.calls.length,
      dispatches: dispatches.mock.calls.length,
      maps: maps.mock.calls.length,
      bytesCopied: copies.mock.calls.reduce((sum, args) => sum + Number(args.at(-1)), 0),
    }),
  };
}

function sequences(count: number, sampling: Partial<ScheduledRequest['sampling']> = {}): TestSequence[] {
  return Array.from({ length: count }, (_, slot) => {
    const tokenIds = Array.from({ length: 9 + slot }, (__, i) => 5 + i);
    return new TestSequence({ slot, tokenIds, blockTable: blocksFor(loaded.scheduler, slot, 60), sampling });
  });
}

// A layer: queries, keys and values; attention; its output; gate and up; down.
const DISPATCHES_A_LAYER = 5;
// Besides: embedding, logits with the first half of the draw, and the second.
const DISPATCHES_BESIDES = 3;
const DISPATCHES = NUM_LAYERS * DISPATCHES_A_LAYER + DISPATCHES_BESIDES;
/** Each slot's sampled token id, a u32. */
const BYTES_READ_BACK = SLOTS * 4;

test.each([1, 3, 8])(
  'a decode step of %i requests: five dispatches a layer and three, one submit, one pass, nothing created, ids read back',
  async (count) => {
    const batch = sequences(count);
    for (const sequence of batch) await step(loaded, [[sequence, 32]]);
    const before = loaded.counters();
    const webGpu = watchWebGpu();
    expect(webGpu.creators).toEqual(
      expect.arrayContaining(['createBindGroup', 'createBuffer', 'createComputePipeline']),
    );
    for (let i = 0; i < 5; i++)
      await step(
        loaded,
        batch.map((sequence) => [sequence, 1] as const),
      );
    expect(webGpu.counts()).toEqual({
      created: { createCommandEncoder: 5 },
      submits: 5,
      writes: 5,
      passes: 5,
      dispatches: 5 * DISPATCHES,
      maps: 5,
      bytesCopied: 5 * BYTES_READ_BACK,
    });
    const after = loaded.counters();
    expect(after.steps - before.steps).toBe(5);
    expect(after.submits - before.submits).toBe(5);
    expect(after.dispatches - before.dispatches).toBe(5 * DISPATCHES);
    expect(after.bindGroupsCreated).toBe(before.bindGroupsCreated);
    expect(after.bytesReadBack - before.bytesReadBack).toBe(5 * BYTES_READ_BACK);
  },
);

test('a context of more than 128 tokens takes a dispatch a layer more', async () => {
  const [short] = sequences(1);
  if (short === undefined) throw new Error('no sequence');
  const tokenIds = Array.from({ length: 127 }, (_, i) => 5 + i);
  const long = new TestSequence({ slot: 1, tokenIds, blockTable: blocksFor(loaded.scheduler, 1, 140), sampling: {} });
  await step(loaded, [[short, 32]]);
  for (let i = 0; i < 4; i++) await step(loaded, [[long, 32]]);
  const steps = [DISPATCHES, DISPATCHES + NUM_LAYERS]; // of 128 tokens, and of 129
  for (const dispatches of steps) {
    const webGpu = watchWebGpu();
    await step(loaded, [[short, 1], [long, 1]]);
    expect(webGpu.counts().dispatches).toBe(dispatches);
    vi.restoreAllMocks();
  }
});

test('a plan of four steps is read back once', async () => {
  const [sequence] = sequences(1);
  if (sequence === undefined) throw new Error('no sequence');
  await step(loaded, [[sequence, 32]]);
  const webGpu = watchWebGpu();
  await step(loaded, [[sequence, 1]], 4);
  expect(webGpu.counts()).toMatchObject({ created: { createCommandEncoder: 4 }, submits: 4, passes: 4, maps: 1 });
  expect(sequence.tokenIds).toHaveLength(9 + 1 + 4);
});

test('a plan behind one in flight takes its token on the GPU; each is read back once, and nothing is created', async () => {
  const [alone, sequence] = sequences(2).map(({ slot }) => {
    const tokenIds = [5, 6, 7, 8];
    return new TestSequence({ slot, tokenIds, blockTable: blocksFor(loaded.scheduler, slot, 60) });
  });
  if (alone === undefined || sequence === undefined) throw new Error('no sequences');
  const expected = await generate(loaded, alone, 9);
  await step(loaded, [[sequence, 32]]);
  const planOf = (request: ScheduledRequest): SchedulerOutput => ({ numSteps: 4, requests: [request], totalNumScheduledTokens: 1 });
  const first = sequence.share(1);
  const second = { ...first, tokenIds: [LAST_SAMPLED], startPosition: first.startPosition + 4 };
  const webGpu = watchWebGpu();
  const plans = [first, second].map((request) => loaded.runner.execute(planOf(request)));
  await expect(loaded.runner.execute(planOf(first))).rejects.toThrow('more plans are in flight');
  const outputs = await Promise.all(plans);
  expect(webGpu.counts()).toMatchObject({ created: { createCommandEncoder: 8 }, submits: 8, writes: 8, passes: 8, maps: 2 });
  const ids = outputs.flatMap(({ sampledTokenIds }) => sampledTokenIds.get('request 1') ?? []);
  expect(ids).toEqual(expected.slice(1));
  expect(new Set(ids).size).toBeGreaterThan(1);
});

test('so is a step that mixes a prompt’s chunk with decoding', async () => {
  const [decoding, prefilling] = sequences(2);
  if (decoding === undefined || prefilling === undefined) throw new Error('no sequences');
  await step(loaded, [[decoding, 32]]);
  const webGpu = watchWebGpu();
  const { requests } = await step(loaded, [
    [decoding, 1],
    [prefilling, 4],
  ]);
  expect(requests.map(({ samples }) => samples)).toEqual([true, false]);
  // Rows that are alone and rows in tiles attend in a dispatch each.
  const expected = { created: { createCommandEncoder: 1 }, submits: 1, passes: 1, maps: 1, dispatches: DISPATCHES + NUM_LAYERS };
  expect(webGpu.counts()).toMatchObject(expected);
});

// Biases and penalties are an op each; min_p takes two, top_k and top_p eight each; and the draw begins anew.
test.each<[Partial<ScheduledRequest['sampling']>, number]>([
  [{ temperature: 1 }, 0],
  [{ temperature: 1, minP: 0.1 }, 3],
  [{ temperature: 1, topK: 5 }, 11],
  [{ temperature: 1, topP: 0.5, topK: 5, minP: 0.1 }, 19],
  [{ temperature: 0, topP: 0.5 }, 0],
  [{ presencePenalty: 1, logitBias: [[3, 1]] }, 3],
])('sampling with %o: %i dispatches more, the host’s tables written once, and nothing created', async (sampling, more) => {
  const [plain] = sequences(1);
  const [, sequence] = sequences(2, sampling);
  if (plain === undefined || sequence === undefined) throw new Error('no sequences');
  await step(loaded, [[plain, 32]]);
  await step(loaded, [[sequence, 32]]);
  const webGpu = watchWebGpu();
  for (let i = 0; i < 5; i++) await step(loaded, [[plain, 1], [sequence, 1]]);
  const dispatches = 5 * (DISPATCHES + more);
  expect(webGpu.counts()).toMatchObject({ created: { createCommandEncoder: 5 }, submits: 5, writes: 5, passes: 5, dispatches });
});

// The least that each architecture takes: matrices of whole tiles, so that they are fused.
const WHOLE_TILES = { hiddenSize: 64, intermediateSize: 128, numHeads: 4, numKvHeads: 2, headSize: 32, vocabSize: 260 } as const;
test.each([
  { model: { preset: 'qwen2', type: 'Q8_0' }, aLayer: DISPATCHES_A_LAYER },
  { model: { preset: 'qwen3', type: 'F16' }, aLayer: DISPATCHES_A_LAYER + 1 },
] as const)('$model.preset in $model.type: $aLayer dispatches a layer', async ({ model, aLayer }) => {
  const other = await loadBytes(tinyModel({ ...model, ...WHOLE_TILES }), { limits: { maxNumSeqs: SLOTS } });
  const sequence = new TestSequence({ tokenIds: [5, 6, 7], blockTable: blocksFor(other.scheduler, 0, 16) });
  await step(other, [[sequence, 3]]);
  const before = other.counters();
  await step(other, [[sequence, 1]]);
  const after = other.counters();
  other.destroy();
  expect(after.dispatches - before.dispatches).toBe(NUM_LAYERS * aLayer + DISPATCHES_BESIDES);
  expect(after.bindGroupsCreated).toBe(before.bindGroupsCreated);
});
