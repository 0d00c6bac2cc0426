import { afterEach, describe, expect, test } from 'vitest';
import type { KvCacheDtype } from '../../src/core/kv-cache-dtype.ts';
import type { EngineRequest, RequestOutput } from '../../src/core/request.ts';
import { Engine } from '../../src/engine/engine.ts';
import type { KvBlockTransfer } from '../../src/runner/kv-block-transfer.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { Scheduler } from '../../src/scheduler/scheduler.ts';
import { blocksFor, loadBytes, readLogits, step, TestSequence } from '../support/gpu-runner.ts';
import { createRandom } from '../support/random.ts';
import { tinyModel, type TinyPreset } from '../support/tiny-model.ts';

const loads: LoadedRunner[] = [];
afterEach(() => {
  for (const loaded of loads.splice(0)) loaded.destroy();
});

const LENGTH = 150;
const FULL_BLOCKS = 9;
const random = createRandom(21);
const PROMPT = Array.from({ length: LENGTH }, () => 3 + random.below(250));

async function load(preset: TinyPreset, kvCacheDtype: KvCacheDtype, subgroups = true) {
  const limits = { maxNumBatchedTokens: 64, maxNumSeqs: 4, maxStepsPerPlan: 1 };
  const bytes = tinyModel({ preset, type: 'mixed', seed: 5 });
  const options = { kvCacheBytes: 2 ** 21, kvCacheDtype, subgroups, limits, blockTransfer: true };
  const loaded = await loadBytes(bytes, options);
  loads.push(loaded);
  if (loaded.blockTransfer === undefined) throw new Error('no transfer');
  return { loaded, transfer: loaded.blockTransfer };
}

/** Feeds what is left of a sequence and samples 12 tokens; the bits of every sample's logits. */
async function bitsOf(loaded: LoadedRunner, sequence: TestSequence): Promise<readonly Uint32Array[]> {
  const bits: Uint32Array[] = [];
  while (bits.length < 12) {
    const plan = await step(loaded, [[sequence, 64]]);
    if (plan.requests[0]?.samples !== true) continue;
    bits.push(...(await readLogits(loaded, 1)).map(({ buffer }) => new Uint32Array(buffer)));
  }
  return bits;
}

async function readBlocks(transfer: KvBlockTransfer, blocks: readonly number[]): Promise<Uint8Array<ArrayBuffer>[]> {
  const all: Uint8Array<ArrayBuffer>[] = [];
  for (const block of blocks) all.push(await transfer.read(block));
  return all;
}

function poison(transfer: KvBlockTransfer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(transfer.blockBytes).fill(0xff); // f32: NaN
}

describe.each([
  { preset: 'gqa9', kvCacheDtype: 'f32', subgroups: true },
  { preset: 'gqa9', kvCacheDtype: 'f32', subgroups: false },
  { preset: 'gqa9', kvCacheDtype: 'f16', subgroups: true },
  { preset: 'gqa9', kvCacheDtype: 'int8', subgroups: true },
  { preset: 'narrow', kvCacheDtype: 'f32', subgroups: true },
  { preset: 'narrow', kvCacheDtype: 'int8', subgroups: true },
] as const)('$preset, $kvCacheDtype KV, subgroups: $subgroups', ({ preset, kvCacheDtype, subgroups }) => {
  test('blocks restored on another device, in other places, give the same tokens and logits, bit by bit', async () => {
    const before = await load(preset, kvCacheDtype, subgroups);
    const blockTable = blocksFor(before.loaded.scheduler, 1, 200);
    const computed = new TestSequence({ tokenIds: PROMPT, blockTable });
    const expected = await bitsOf(before.loaded, computed);
    expect(new Set(expected.flatMap((bits) => [...bits])).size).toBeGreaterThan(500);
    const blocks = await readBlocks(before.transfer, blockTable.slice(0, FULL_BLOCKS));

    const after = await load(preset, kvCacheDtype, subgroups);
    const { numBlocks } = after.loaded.scheduler;
    for (let block = 0; block < numBlocks; block++) await after.transfer.write(block, poison(after.transfer));
    const elsewhere = blocksFor(after.loaded.scheduler, 2, 200).toReversed();
    for (const [i, bytes] of blocks.entries()) await after.transfer.write(elsewhere[i] ?? -1, bytes);
    // What lies beside them is as it was.
    for (const block of Array.from({ length: numBlocks }, (_, i) => i)) {
      if (elsewhere.slice(0, FULL_BLOCKS).includes(block) || block % 7 !== 0) continue;
      expect(await after.transfer.read(block)).toEqual(poison(after.transfer));
    }
    expect(await readBlocks(after.transfer, elsewhere.slice(0, FULL_BLOCKS))).toEqual(blocks);
    const restored = new TestSequence({ tokenIds: PROMPT, blockTable: elsewhere });
    restored.accept(FULL_BLOCKS * 16, []);
    expect(await bitsOf(after.loaded, restored)).toEqual(expected);
    expect(restored.tokenIds).toEqual(computed.tokenIds);

    // A single wrong bit, of the sign or of an exponent, would show.
    const wrong = blocks[4]?.slice() ?? new Uint8Array();
    wrong[3] = (wrong[3] ?? 0) ^ 0x80;
    await after.transfer.write(elsewhere[4] ?? -1, wrong);
    const misled = new TestSequence({ tokenIds: PROMPT, blockTable: elsewhere });
    misled.accept(FULL_BLOCKS * 16, []);
    expect(await bitsOf(after.loaded, misled)).not.toEqual(expected);
  });
});

test('copies take their place in the queue when they are asked for', async () => {
  const { loaded, transfer } = await load('gqa9', 'f32');
  const blockTable = blocksFor(loaded.scheduler, 0, 200);
  const [first = -1] = blockTable;
  await step(loaded, [[new TestSequence({ tokenIds: PROMPT, blockTable }), 64]]);
  const before = await transfer.read(first);
  const reading = transfer.read(first);
  const other = new TestSequence({ tokenIds: PROMPT.toReversed(), blockTable });
  const stepping = step(loaded, [[other, 64]]); // overwrites it
  expect(await reading).toEqual(before);
  await stepping;
  expect(await transfer.read(first)).not.toEqual(before);

  const writing = transfer.write(first, before);
  const again = new TestSequence({ tokenIds: PROMPT, blockTable });
  again.accept(16, []);
  await step(loaded, [[again, 48]]); // reads it
  await writing;
  const seen = await transfer.read(blockTable[2] ?? -1);
  await step(loaded, [[new TestSequence({ tokenIds: PROMPT, blockTable }), 64]]);
  expect(await transfer.read(blockTable[2] ?? -1)).toEqual(seen);
});

test.each(['f32', 'int8'] as const)('an engine whose prefixes were adopted, %s: found, and the same answer', async (kvCacheDtype) => {
  const request: EngineRequest = {
    requestId: 'a', sessionId: 'tab', choice: 0, promptTokenIds: PROMPT, arrivalTime: 0, persistPrefix: true,
    sampling: { temperature: 0.8, seed: 9, maxTokens: 30, stopTokenIds: [] },
  };
  const run = async (loaded: LoadedRunner, scheduler: Scheduler, asked: EngineRequest) => {
    const engine = new Engine({ scheduler, runner: loaded.runner, clock: () => performance.now() });
    const stop = new AbortController();
    engine.add(asked);
    const outputs: RequestOutput[] = [];
    for await (const step of engine.run(stop.signal)) {
      outputs.push(...step);
      if (step.some(({ finishReason }) => finishReason !== undefined)) stop.abort();
    }
    scheduler.checkIntegrity();
    return { tokenIds: outputs.flatMap(({ newTokenIds }) => newTokenIds), cached: outputs.at(-1)?.numCachedTokens };
  };
  const before = await load('gqa9', kvCacheDtype);
  const scheduler = new Scheduler(before.loaded.scheduler);
  const computed = await run(before.loaded, scheduler, request);
  expect(computed.cached).toBe(0);
  await run(before.loaded, scheduler, { ...request, requestId: 'b' });
  const [chain = []] = scheduler.prefixes.hot(8);
  expect(chain).toHaveLength(FULL_BLOCKS);

  const after = await load('gqa9', kvCacheDtype);
  const fresh = new Scheduler(after.loaded.scheduler);
  for (const [i, { block }] of chain.entries()) {
    const bytes = await before.transfer.read(block);
    const tokenIds = PROMPT.slice(0, (i + 1) * 16);
    expect(fresh.prefixes.adopt(tokenIds, (target) => void after.transfer.write(target, bytes))).toBe('adopted');
  }
  expect(await run(after.loaded, fresh, request)).toEqual({ ...computed, cached: FULL_BLOCKS * 16 });
});
