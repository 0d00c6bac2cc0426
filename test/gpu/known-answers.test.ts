import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { TabserveError } from '../../src/core/errors.ts';
import { MOST_DISPATCHES } from '../../src/runner/known-answers/plan.ts';
import type { LoadedRunner, LoadRunnerOptions } from '../../src/runner/load-runner.ts';
import { loadBytes } from '../support/gpu-runner.ts';
import { type PlantedFault, plantFault, UNSCALED_SPLITS } from '../support/planted-fault.ts';
import { sharedGpu } from '../support/shared-gpu.ts';
import { readWords } from '../support/read-words.ts';
import { tinyModel } from '../support/tiny-model.ts';

// A model is loaded only onto a GPU that computes right numbers. Drivers' faults are played by changes of WGSL's text.

const MODEL = tinyModel({ preset: 'narrow', type: 'Q4_1', intermediateSize: 128, numLayers: 1 });

const unplant: (() => void)[] = [];
afterEach(() => unplant.splice(0).toReversed().forEach((undo) => undo()));
afterAll(() => vi.restoreAllMocks());

/** The driver makes this mistake until the test ends. Returns how many shaders it has changed. */
async function plant(fault: PlantedFault): Promise<() => number> {
  const { changed, end } = await plantFault(fault);
  unplant.push(end);
  return changed;
}

/** Loads the model. Returns it, and the warnings. */
async function load(options: Omit<LoadRunnerOptions, 'file'> = {}): Promise<{ loaded: LoadedRunner; warnings: readonly string[] }> {
  const warnings: string[] = [];
  const log: LoadRunnerOptions['log'] = (level, message) => level === 'warn' && warnings.push(message);
  const loaded = await loadBytes(MODEL, { ...options, log });
  return { loaded, warnings: warnings.filter((message) => message.includes('built again')) };
}

/** The code and the message of the error that loading ends with. */
async function failure(options?: Parameters<typeof load>[0]): Promise<string> {
  const error: unknown = await load(options).then(() => 'nothing is wrong', (reason: unknown) => reason);
  return error instanceof TabserveError ? `${error.code}: ${error.message}` : String(error);
}

async function isClear(device: GPUDevice, buffer: GPUBuffer | undefined): Promise<boolean> {
  if (buffer === undefined) return false;
  return (await readWords(device, [buffer])).every((word) => word === 0);
}

const IS_NAN = '(bitcast<u32>(logit) << 1u) > 0xff000000u';

describe.each<[string, PlantedFault]>([
  ['the last group of k is dropped', { kernel: 'matmul-silu-mul', from: /group < min\(.*?, groups\)/g, to: 'group < groups - 1u' }],
  ['the minimum is dropped', { kernel: 'matmul-residual', from: /minimum \* x_total\(x_sum_\d\)/g, to: 'vec4<f32>()' }],
  ['a barrier is missing', { kernel: 'matmul-residual', from: /(?<=local: u32\) \{\s*)workgroupBarrier\(\);/g, to: '' }],
  ['splits are merged without rescaling', UNSCALED_SPLITS],
  ['rows are off by a tile', { kernel: 'matmul-rope-kv-write', from: /let (tile_\d_\d) = /g, to: 'let $1 = 1u + ' }],
  ['the norm is another row’s', { kernel: 'matmul-silu-mul', from: 'row_of(token)', to: 'row_of(first_token)' }],
  ['the head’s last tile is left out', { kernel: 'matmul-logits', from: 'output < OUTPUTS', to: 'output < OUTPUTS / 64u * 64u' }],
  ['an early return', { kernel: 'attention', from: 'start > last.y', to: 'start >= 0u' }],
])('%s', (_, fault) => {
  test(`in ${fault.kernel}`, async () => {
    const changed = await plant(fault);
    expect(await failure({ subgroups: false })).toMatch(`wrong_results: The kernel ${fault.kernel}`);
    expect(changed()).toBeGreaterThan(0);
  });
});

test('NaN is taken for a number: a test of its bits is folded, and a comparison is turned round', async () => {
  const changed = await plant({ kernel: 'sample-partial', from: IS_NAN, to: 'false' });
  await plant({ kernel: 'sample-partial', from: 'value > score', to: '!(value <= score)' });
  expect(await failure({ subgroups: false })).toMatch('wrong_results: The kernel sample-partial');
  expect(changed()).toBe(1);
});

const LANES_OF_QUAD = { from: 'quadSwapX(mine)', to: 'select(quadSwapX(mine), quadSwapY(mine), lane / 4u == 1u)' };

test('a quad of lanes is swapped: the model is loaded with kernels without subgroups, and its log says so', async ({ skip }) => {
  const { hasSubgroups } = await sharedGpu();
  if (!hasSubgroups) return skip('the adapter has no subgroups');
  const changed = await plant({ kernel: 'matmul-residual', ...LANES_OF_QUAD });
  const { loaded, warnings } = await load();
  expect(changed()).toBeGreaterThan(0);
  expect(warnings).toEqual([expect.stringMatching(/kernel matmul-residual.*built again, without subgroups.*The GPU is /)]);
  expect(loaded.adapter.features).not.toContain('subgroups');
  loaded.destroy();
});

test('a kernel that does not compile with subgroups: the same', async ({ skip }) => {
  const { hasSubgroups } = await sharedGpu();
  if (!hasSubgroups) return skip('the adapter has no subgroups');
  await plant({ kernel: 'matmul-residual', from: 'quadSwapX(mine)', to: 'quadSwapZ(mine)' });
  const { loaded, warnings } = await load();
  expect(warnings).toEqual([expect.stringMatching(/matmul-residual.* does not compile(.|\n)*built again/)]);
  expect(loaded.adapter.features).not.toContain('subgroups');
  loaded.destroy();
});

test('wrong with subgroups and without: an error that says on which GPU, and what to do', async () => {
  await plant(UNSCALED_SPLITS);
  const message = await failure();
  const { adapter } = await sharedGpu();
  for (const part of [adapter.vendor, adapter.architecture, navigator.userAgent, 'download is kept', 'Update the graphics driver', 'report']) {
    expect(message).toContain(part);
  }
});

test('the test is one submit and one read-back, and leaves the model as it was', async () => {
  const submits = vi.spyOn(GPUQueue.prototype, 'submit');
  const maps = vi.spyOn(GPUBuffer.prototype, 'mapAsync');
  const dispatches = vi.spyOn(GPUComputePassEncoder.prototype, 'dispatchWorkgroups');
  const { loaded, warnings } = await load();
  expect({ submits: submits.mock.calls.length, maps: maps.mock.calls.length, warnings }).toEqual({ submits: 1, maps: 1, warnings: [] });
  expect(dispatches.mock.calls.length).toBeGreaterThan(10);
  expect(dispatches.mock.calls.length).toBeLessThanOrEqual(MOST_DISPATCHES);
  vi.restoreAllMocks();
  const { cache: [layer], hidden, weighted, squares, queries, attended, gated, logits, candidates, lastTokens } = loaded.runner.state;
  for (const buffer of [layer?.keys, layer?.values, hidden, weighted, squares, queries, attended, gated, logits, candidates, lastTokens]) {
    expect(await isClear(loaded.device, buffer), buffer?.label).toBe(true);
  }
  loaded.destroy();
});
