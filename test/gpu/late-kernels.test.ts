import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { blocksFor, loadEarly, readLogits, step, TestSequence } from '../support/gpu-runner.ts';
import { tinyModel } from '../support/tiny-model.ts';

// A model is ready before all of its kernels are compiled. What comes late must be used, and change no bit.

let loaded: LoadedRunner;
beforeAll(async () => {
  loaded = await loadEarly(tinyModel({ preset: 'narrow', type: 'Q4_1' }));
}, 120_000);
afterAll(() => loaded?.destroy());

/** Feeds a prompt in chunks; tokens a lane of the matmuls that ran, ascending, and the logits at its end. */
async function run(chunks: readonly number[]) {
  const tokenIds = Array.from({ length: chunks.reduce((sum, count) => sum + count) }, (_, i) => 5 + 3 * i);
  const sequence = new TestSequence({ tokenIds, blockTable: blocksFor(loaded.scheduler, 0, 60) });
  const set = vi.spyOn(GPUComputePassEncoder.prototype, 'setPipeline');
  for (const count of chunks) await step(loaded, [[sequence, count]]);
  const labels = set.mock.calls.map(([{ label }]) => label);
  set.mockRestore();
  const widths = labels.filter((label) => label.startsWith('matmul')).map((label) => Number(/"TOKENS":(\d+)/.exec(label)?.[1]));
  const [logits] = await readLogits(loaded, 1);
  return { widths: [...new Set(widths)].toSorted((a, b) => a - b), logits };
}

test('steps of any length run without what is late, then with it, and give the same bits', async () => {
  const chunks = [1, 2, 3, 9, 20];
  const late = [...new Set(loaded.lateKernels.map(({ tokens }) => tokens))].toSorted((a, b) => a - b);
  expect(late.length).toBeGreaterThan(0);
  expect(late).not.toContain(1);
  const early = await run(chunks);
  expect(early.widths.filter((width) => late.includes(width))).toEqual([]);
  for (const kernel of loaded.lateKernels) await kernel.compile();
  const complete = await run(chunks);
  expect(complete.widths).toEqual([...early.widths, ...late].toSorted((a, b) => a - b));
  expect(complete.logits).toEqual(early.logits);
});
