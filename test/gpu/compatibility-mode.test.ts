import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gpu, openGpu } from '../../src/gpu/device.ts';
import { probeLimits } from '../../src/gpu/limits-probe.ts';
import { type LoadedRunner } from '../../src/runner/load-runner.ts';
import { blocksFor, generate, loadBytes, TestSequence } from '../support/gpu-runner.ts';
import { withoutCore } from '../support/compatibility-mode.ts';
import { tinyModel } from '../support/tiny-model.ts';

// A GPU without a core adapter: WebGPU's compatibility mode has lower limits, and each kernel stays within them.

const PROMPT = Array.from({ length: 150 }, (_, i) => 5 + ((7 * i) % 200));
const FILTERED = { temperature: 0.8, seed: 5, topK: 20, topP: 0.9 } as const;

/** The model's answer on this GPU: a prompt over two splits of attention, then tokens by every filter. */
async function answers(gpu: Gpu): Promise<readonly number[]> {
  const loaded: LoadedRunner = await loadBytes(tinyModel({ preset: 'narrow', type: 'Q4_1' }), { gpu });
  const sequence = new TestSequence({ tokenIds: PROMPT, blockTable: blocksFor(loaded.scheduler, 0, 160), sampling: FILTERED });
  const tokens = await generate(loaded, sequence, 8);
  loaded.destroy();
  return tokens;
}

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(withoutCore())));
afterAll(() => gpu?.device.destroy());

test('its device has the lower limits, and its summary says so', () => {
  const { maxComputeInvocationsPerWorkgroup, maxUniformBufferBindingSize, maxStorageBuffersPerShaderStage } = gpu.device.limits;
  expect({ maxComputeInvocationsPerWorkgroup, maxUniformBufferBindingSize, maxStorageBuffersPerShaderStage }).toEqual({
    maxComputeInvocationsPerWorkgroup: 128, maxUniformBufferBindingSize: 16_384, maxStorageBuffersPerShaderStage: 8,
  });
  expect(gpu.adapter.isCompatibility).toBe(true);
});

test('the limits of what it can do are measured', async () => {
  expect((await probeLimits(gpu)).readGBps).toBeGreaterThan(0);
});

test('a model answers there as on a core device, with a GPU’s kernels', async () => {
  const ofGpu = async (opened: Gpu): Promise<readonly number[]> => answers({ ...opened, adapter: { ...opened.adapter, isSoftware: false } });
  expect(await ofGpu(await openGpu(withoutCore()))).toEqual(await ofGpu(await openGpu()));
});

test('more biases than a uniform holds there are refused', async () => {
  const shape = { preset: 'qwen2', type: 'Q8_0', numHeads: 64, numKvHeads: 4, headSize: 64 } as const;
  const error = { code: 'unsupported_model', message: expect.stringMatching(/4096 biases.*compatibility mode/) };
  await expect(loadBytes(tinyModel(shape), { gpu: await openGpu(withoutCore()) })).rejects.toMatchObject(error);
});
