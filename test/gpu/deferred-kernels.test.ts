import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { blocksFor, loadBytes, readLogits, step, TestSequence } from '../support/gpu-runner.ts';
import { tinyModel } from '../support/tiny-model.ts';

// A model is ready before all of its kernels are compiled. The deferred ones must be used, and change no bit.

let loaded: LoadedRunner;
beforeAll(async () => {
  loaded = await loadBytes(tinyModel({ preset: 'narrow', type: 'Q4_1' }));
}, 120_000);
afterAll(() => loaded?.destroy());

/** Feeds a prompt in chunks; tokens a lane of the matmuls and rows a tile of attention, and the logits at its end. */
async function run(chunks: readonly number[]) {
  const tokenIds = Array.from({ length: chunks.reduce((sum, count) => sum + count) }, (_, i) => 5 + 3 * i);
  const sequence = new TestSequence({ tokenIds, blockTable: blocksFor(loaded.scheduler, 0, 60) });
  const set = vi.spyOn(GPUComputePassEncoder.prototype, 'setPipeline');
  for (const count of chunks) await step(loaded, [[sequence, count]]);
  const labels = set.mock.calls.map(([{ label }]) => label);
  set.mockRestore();
  const valuesOf = (constant: RegExp): readonly number[] => {
    const found = labels.flatMap((label) => constant.exec(label)?.slice(1).map(Number) ?? []);
    return [...new Set(found)].toSorted((a, b) => a - b);
  };
  const [logits] = await readLogits(loaded, 1);
  return { widths: valuesOf(/^matmul.*"TOKENS":(\d+)/), tileRows: valuesOf(/^attention .*"ROWS":(\d+)/), logits };
}

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
