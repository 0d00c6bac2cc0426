import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { VariantSet, type VariantSetOptions } from '../../src/gpu/variant-set.ts';
import { ATTENTION } from '../../src/kernels/attention.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { blocksFor, loadBytes, readLogits, step, TestSequence } from '../support/gpu-runner.ts';
import { tinyModel } from '../support/tiny-model.ts';

// A model is ready before all of its kernels are compiled. The deferred ones must be used, and change no bit.

let loaded: LoadedRunner;
beforeAll(async () => {
  loaded = await loadBytes(tinyModel({ preset: 'narrow', type: 'Q4_1' }));
}, 120_000);
afterAll(() => loaded?.destroy());

/** Feeds a prompt in chunks. The kernels that ran, by tokens a lane of matmuls and rows a tile of attention; the logits. */
async function run(chunks: readonly number[]) {
  const tokenIds = Array.from({ length: chunks.reduce((sum, count) => sum + count) }, (_, i) => 5 + 3 * i);
  const sequence = new TestSequence({ tokenIds, blockTable: blocksFor(loaded.scheduler, 0, 60) });
  const used = vi.spyOn(VariantSet.prototype, 'pipeline', 'get');
  for (const count of chunks) await step(loaded, [[sequence, count]]);
  const sets = (used.mock.contexts as VariantSet[]).map(({ options }) => options);
  used.mockRestore();
  const tokensOf = (found: typeof sets): readonly number[] => [...new Set(found.map(({ tokens }) => tokens))].toSorted((a, b) => a - b);
  const isAttention = ({ spec }: VariantSetOptions): boolean => spec === ATTENTION;
  const [logits] = await readLogits(loaded, 1);
  const matmuls = sets.filter((set) => !isAttention(set));
  return { widths: tokensOf(matmuls), tileRows: tokensOf(sets.filter(isAttention)), logits };
}

/** The deferred kernels that a step of this many tokens of one request would have used, by their tokens. */
async function missedBy(count: number): Promise<readonly number[]> {
  const before = loaded.deferredKernels.map(({ numMissed }) => numMissed);
  await run([count]);
  return loaded.deferredKernels.filter(({ numMissed }, i) => numMissed > (before[i] ?? 0)).map(({ tokens }) => tokens);
}

test('a deferred kernel counts the dispatches that others do in its place', async () => {
  const { isSoftware } = loaded.adapter;
  const numOf = (width: number): number => loaded.deferredKernels.filter(({ tokens }) => tokens === width).length;
  expect(await missedBy(1)).toEqual([]);
  const two = await missedBy(2); // all but the logits' own: there is one sample
  expect(two.filter((tokens) => tokens === 2)).toHaveLength(numOf(2) - 1);
  const tiled = isSoftware ? [4] : [];
  expect(two.filter((tokens) => tokens !== 2)).toEqual(tiled);
  expect(await missedBy(isSoftware ? 4 : 8)).toEqual(tiled);
});

test('steps of any length run without the deferred kernels, then with them, and give the same bits', async () => {
  const chunks = [1, 2, 3, 9, 20];
  const { isSoftware, architecture } = loaded.adapter;
  const widths = isSoftware && architecture !== 'swiftshader' ? [1, 2, 4] : [1, 2, 4, 8]; // see kernelSizes
  const early = await run(chunks);
  expect(early).toMatchObject(isSoftware ? { widths: [1, 4], tileRows: [1] } : { widths: [1, 8], tileRows: [1, 4] });
  for (const kernel of loaded.deferredKernels) await kernel.compile();
  const complete = await run(chunks);
  expect(complete).toMatchObject({ widths, tileRows: [1, 4] });
  expect(complete.logits).toEqual(early.logits);
});
