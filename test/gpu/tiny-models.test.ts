import { afterEach, describe, expect, test } from 'vitest';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { blocksFor, generate, loadBytes, logitsOfEveryPosition, TestSequence } from '../support/gpu-runner.ts';
import { createRandom } from '../support/random.ts';
import { createReferenceModel } from '../support/reference-model.ts';
import { readTinyGoldens } from '../support/tiny-goldens.ts';
import { tinyModel, tinyModelContents } from '../support/tiny-model.ts';

let loaded: LoadedRunner | undefined;
afterEach(() => loaded?.destroy());

const GOLDENS = readTinyGoldens();

test('every preset and every format has a golden', () => {
  const models = GOLDENS.map(({ model }) => model);
  expect(new Set(models.map(({ preset }) => preset))).toEqual(new Set(['gqa3', 'gqa9', 'wide', 'narrow', 'stories', 'qwen2', 'qwen3', 'smollm2']));
  expect(new Set(models.map(({ type }) => type))).toEqual(new Set(['Q4_0', 'Q4_1', 'Q8_0', 'mixed', 'F16', 'BF16', 'F32']));
});

/** Both kinds of kernels agree to the bit (test/gpu/kernels): models that differ in more than their weights' type have both. */
const ONE_KIND = new Set(['gqa3 Q4_1', 'gqa3 Q8_0', 'stories F16', 'narrow F32', 'qwen2 mixed']);

// The quantised file here, the same weights as F32 in llama.cpp: what differs is rounding only.
describe.each([
  { kernels: 'subgroup', subgroups: true },
  { kernels: 'baseline', subgroups: false },
])('with $kernels kernels', ({ subgroups }) => {
  for (const { model, tokens, logits, greedyIds } of GOLDENS) {
    const name = `${model.preset} ${model.type}`;
    const isAlone = ONE_KIND.has(name);
    if (isAlone && !subgroups) continue;
    test(`${name}: logits and greedy ids are llama.cpp’s`, async ({ skip }) => {
      loaded = await loadBytes(tinyModel(model), { subgroups, limits: { maxNumSeqs: 16 } });
      const has = loaded.adapter.features.includes('subgroups');
      if (subgroups && !has && !isAlone) skip('this adapter has no subgroups');
      expect(worstDifference(await logitsOfEveryPosition(loaded, tokens), logits)).toBeLessThanOrEqual(1e-3);
      const blockTable = blocksFor(loaded.scheduler, 3, tokens.length + greedyIds.length);
      const sequence = new TestSequence({ slot: 3, tokenIds: tokens, blockTable });
      expect(await generate(loaded, sequence, greedyIds.length)).toEqual(greedyIds);
    });
  }
});

// The goldens end before attention's second split of 128 tokens.
test('a context of several splits: the logits are the float64 reference’s', async () => {
  const options = { preset: 'smollm2', type: 'mixed', seed: 3 } as const;
  loaded = await loadBytes(tinyModel(options));
  const random = createRandom(2);
  const tokens = Array.from({ length: 290 }, () => 3 + random.below(500));
  const expected = createReferenceModel(tinyModelContents(options)).logits(tokens);
  expect(worstDifference(await logitsOfEveryPosition(loaded, tokens), expected)).toBeLessThanOrEqual(1e-3);
});

// What a GPU with small bindings does to a large vocabulary: the embedding and the head in several matrices.
test('an embedding and a head bound in 3 parts each: logits and draws to the bit as in one', async () => {
  const model = tinyModel({ preset: 'narrow', type: 'Q8_0', tied: false }); // 5 tiles of 4096 bytes each
  const tokens = Array.from({ length: 24 }, (_, i) => 3 + ((i * 97) % 287));
  const results = [];
  for (const options of [{}, { maxBindingBytes: 9000 }]) {
    loaded = await loadBytes(model, { ...options, limits: { maxNumSeqs: 16 } });
    const logits = await logitsOfEveryPosition(loaded, tokens);
    const sampling = { temperature: 0.9, seed: 5 };
    const sequence = new TestSequence({ slot: 2, tokenIds: tokens, blockTable: blocksFor(loaded.scheduler, 2, 60), sampling });
    const before = loaded.counters().dispatches;
    const ids = await generate(loaded, sequence, 1);
    results.push({ logits, dispatches: loaded.counters().dispatches - before, ids: [...ids, ...(await generate(loaded, sequence, 30))] });
    loaded.destroy();
  }
  const [whole, split] = results;
  expect(split?.logits.map((row) => new Uint32Array(row.buffer))).toEqual(whole?.logits.map((row) => new Uint32Array(row.buffer)));
  expect(split?.ids).toEqual(whole?.ids);
  expect(new Set(split?.ids).size).toBeGreaterThan(5);
  expect(split?.dispatches).toBe((whole?.dispatches ?? 0) + 2 * 2);
});

/** The greatest difference of two logits; NaN where one is, or where there are not as many. */
function worstDifference(actual: readonly Float32Array[], expected: readonly (Float32Array | Float64Array)[]): number {
  if (actual.length !== expected.length) return NaN;
  let worst = 0;
  for (const [position, logits] of expected.entries()) {
    const others = actual[position];
    if (others?.length !== logits.length) return NaN;
    // Math.max passes a NaN on.
    for (const [id, logit] of logits.entries()) worst = Math.max(worst, Math.abs(logit - (others[id] ?? NaN)));
  }
  return worst;
}
