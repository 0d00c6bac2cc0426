import { afterEach, describe, expect, test } from 'vitest';
import type { Numerics } from '../../src/core/numerics.ts';
import { openGpu } from '../../src/gpu/device.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { blocksFor, loadWhole, logitsOfEveryPosition, readLogits, step, TestSequence } from '../support/gpu-runner.ts';
import { createRandom } from '../support/random.ts';
import { TINY_SHAPES, tinyModel } from '../support/tiny-model.ts';

let loaded: LoadedRunner | undefined;
afterEach(() => loaded?.destroy());

const MODEL = { preset: 'smollm2', type: 'mixed', seed: 3 } as const;
const random = createRandom(4);
const TOKENS = Array.from({ length: 60 }, () => 3 + random.below(TINY_SHAPES.smollm2.vocabSize - 3));

async function open(numerics: Numerics): Promise<LoadedRunner> {
  loaded = await loadWhole(tinyModel(MODEL), { numerics, limits: { maxNumBatchedTokens: 64, maxNumSeqs: 16 } });
  return loaded;
}

/** Whether this adapter computes in them. */
async function has(numerics: Numerics): Promise<boolean> {
  const gpu = await openGpu(undefined, numerics);
  gpu.device.destroy();
  return gpu.supportedNumerics.includes(numerics);
}

/** How far a class may move the logits of a model of random weights: above what is measured, and below what a fault does. */
const LIMITS = { dp4a: { mean: 0.1, worst: 0.6 }, f16: { mean: 0.012, worst: 0.08 } } as const;

describe.each(['dp4a', 'f16'] as const)('%s', (numerics) => {
  test('moves the logits, by little; and says what it is', async ({ skip }) => {
    if (!(await has(numerics))) skip(`this adapter has no ${numerics}`);
    const exact = await logitsOfEveryPosition(await open('f32'), TOKENS);
    loaded?.destroy();
    const other = await open(numerics);
    expect(other.numerics).toBe(numerics);
    const moved = await logitsOfEveryPosition(other, TOKENS);
    const all = exact.flatMap((row, i) => [...row].map((logit, id) => Math.abs(logit - (moved[i]?.[id] ?? NaN))));
    const mean = all.reduce((a, b) => a + b, 0) / all.length;
    const worst = all.reduce((a, b) => Math.max(a, b), 0);
    console.log(`${numerics} moves the logits by ${worst} at most, ${mean} on average`);
    expect(mean).toBeGreaterThan(1e-4);
    expect(mean).toBeLessThan(LIMITS[numerics].mean);
    expect(worst).toBeLessThan(LIMITS[numerics].worst);
  });

  test('the same bits in chunks of any length, alone and beside others', async ({ skip }) => {
    if (!(await has(numerics))) skip(`this adapter has no ${numerics}`);
    const runner = await open(numerics);
    const sequence = (slot: number, tokenIds = TOKENS): TestSequence =>
      new TestSequence({ slot, tokenIds, blockTable: blocksFor(runner.scheduler, slot, 100) });
    const bits = async (samples: number) => new Uint32Array((await readLogits(runner, samples)).at(-1)?.buffer ?? new ArrayBuffer(0));
    await step(runner, [[sequence(0), TOKENS.length]]);
    const alone = await bits(1);
    expect(new Set(alone).size).toBeGreaterThan(400);
    for (const chunk of [1, 7, 32]) {
      const again = sequence(1);
      const beside = sequence(2, TOKENS.toReversed());
      for (let fed = 0; fed < TOKENS.length - chunk; fed += chunk) await step(runner, [[beside, 2], [again, chunk]]);
      const { requests } = await step(runner, [[beside, 1], [again, chunk]]);
      expect(await bits(requests.filter(({ samples }) => samples).length), `chunks of ${chunk}`).toEqual(alone);
    }
  });

  test('is refused where there is no such product, and never replaced', async () => {
    const { supportedNumerics: all, ...gpu } = await openGpu(undefined, 'f32');
    const without = { ...gpu, supportedNumerics: all.filter((one) => one !== numerics) };
    const refused = expect.objectContaining({ code: 'invalid_request', param: 'numerics', message: expect.stringContaining('lack') });
    await expect(loadWhole(tinyModel(MODEL), { numerics, gpu: without })).rejects.toThrow(refused);
  });
});

test('float matrices stay exact in dp4a: their logits are those of f32, to the bit', async ({ skip }) => {
  if (!(await has('dp4a'))) skip('this adapter has no dp4a');
  const bits = [];
  for (const numerics of ['f32', 'dp4a'] as const) {
    loaded = await loadWhole(tinyModel({ preset: 'narrow', type: 'BF16' }), { numerics });
    const logits = await logitsOfEveryPosition(loaded, TOKENS.slice(0, 8).map((id) => id % 290));
    bits.push(logits.map((row) => new Uint32Array(row.buffer)));
    loaded.destroy();
  }
  expect(bits[1]).toEqual(bits[0]);
  expect(new Set(bits[0]?.[7]).size).toBeGreaterThan(200);
});

test('what is no class is refused by name', async () => {
  const refused = expect.objectContaining({ code: 'invalid_request', param: 'numerics', message: expect.stringContaining('bf16') });
  await expect(loadWhole(tinyModel(MODEL), { numerics: 'bf16' as 'f16' })).rejects.toThrow(refused);
});
