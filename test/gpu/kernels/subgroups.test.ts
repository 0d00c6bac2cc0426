import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Gpu, openGpu } from '../../../src/gpu/device.ts';
import { formsQuads } from '../../../src/gpu/quad-probe.ts';
import { generate, loadBytes, TestSequence } from '../../support/gpu-runner.ts';
import { tinyModel } from '../../support/tiny-model.ts';

let gpu: Gpu;
beforeEach(async () => void (gpu = await openGpu()));
afterEach(() => gpu.device.destroy());

/** The matmul variants that a model asks for; none is compiled. */
async function matmulVariants(options: { readonly hasSubgroups: boolean; readonly subgroups?: boolean }): Promise<string[]> {
  const labels: string[] = [];
  gpu.device.createComputePipelineAsync = ({ label }) => {
    labels.push(label ?? '');
    return Promise.reject(new Error('not compiled'));
  };
  const { hasSubgroups, ...chosen } = options;
  const loading = loadBytes(tinyModel({ type: 'mixed' }), { gpu: { ...gpu, hasSubgroups }, ...chosen });
  await expect(loading).rejects.toThrow('not compiled');
  const matmuls = labels.filter((label) => label.startsWith('matmul'));
  expect(matmuls.length).toBeGreaterThan(0);
  return matmuls;
}

test('an adapter with subgroups forms quads of neighbouring lanes, and says it has them', async ({ skip }) => {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter?.features.has('subgroups')) skip('this adapter has no subgroups');
  expect(await formsQuads(gpu.device)).toBe(true);
  expect(gpu.hasSubgroups).toBe(true);
  expect(gpu.adapter.features).toEqual(['subgroups']);
});

test('a model then uses the subgroup matmuls, and others only once those do not compile', async () => {
  const variants = await matmulVariants({ hasSubgroups: true });
  const uses = variants.map((label) => label.includes('"SUBGROUPS":true'));
  expect(uses).toEqual(uses.map((_, i) => i < uses.length / 2));
});

test.each([{ hasSubgroups: false }, { hasSubgroups: true, subgroups: false }])('else the baseline: %o', async (options) => {
  const variants = await matmulVariants(options);
  expect(variants.filter((label) => !label.includes('"SUBGROUPS":false'))).toEqual([]);
});

test('the baseline runs on a device that has no feature and WebGPU’s default limits', async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter?.requestDevice();
  if (device === undefined) throw new Error('no device');
  const bare: Gpu = { ...gpu, device, hasSubgroups: false };
  const loaded = await loadBytes(tinyModel({ type: 'mixed' }), { gpu: bare });
  const sequence = new TestSequence({ tokenIds: [1, 2, 3], blockTable: [1] });
  expect((await generate(loaded, sequence, 1)).length).toBe(1);
  loaded.destroy();
});
