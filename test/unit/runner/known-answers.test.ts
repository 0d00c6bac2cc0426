import { expect, test } from 'vitest';
import { headerOf, MODELS } from '../../../docs/memory-page.ts';
import type { KvCacheDtype } from '../../../src/core/kv-cache-dtype.ts';
import type { Numerics } from '../../../src/core/numerics.ts';
import { runCooperatively, runSync } from '../../../src/core/cooperative-task.ts';
import { BufferPool } from '../../../src/gpu/buffers.ts';
import { countingDevice } from '../../../src/gpu/counting-device.ts';
import { OpBuilder } from '../../../src/gpu/op.ts';
import { type ModelFile, readModelFile } from '../../../src/formats/gguf.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import { buildDecoder } from '../../../src/models/decoder.ts';
import { ReferenceRows } from '../../../src/models/reference-rows.ts';
import { allocate } from '../../../src/runner/allocate.ts';
import { TESTS_OF_KERNELS } from '../../../src/runner/known-answers/kernels.ts';
import { knownAnswers, largestShare, MOST_BYTES, MOST_DISPATCHES } from '../../../src/runner/known-answers/plan.ts';
import { planCache } from '../../../src/runner/kv-cache-plan.ts';
import { defaultLimits, kernelSizes, matrixLayout } from '../../../src/runner/load-runner.ts';
import { trustedDecoder } from '../../../src/runner/trusted-decoder.ts';
import { memorySource } from '../../support/gpu-runner.ts';
import { tinyModel, type TinyModelOptions } from '../../support/tiny-model.ts';

// Node has no WebGPU. Buffers are those of the counting device.
const isBuffer = (value: unknown): boolean => typeof value === 'object' && value !== null && '__brand' in value;
Object.assign(globalThis, {
  GPUBufferUsage: { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 },
  GPUShaderStage: { COMPUTE: 4 },
  GPUBuffer: Object.defineProperty(class {}, Symbol.hasInstance, { value: isBuffer }),
});

const LIMITS = { maxBufferSize: 2 ** 31, maxStorageBufferBindingSize: 2 ** 31 };
/** A device that compiles nothing: each pipeline is only itself. */
const device = {
  ...countingDevice(LIMITS),
  createBindGroupLayout: () => ({}),
  createBindGroup: () => ({}),
  createPipelineLayout: () => ({}),
  createShaderModule: () => ({}),
  createComputePipelineAsync: async () => ({}),
} as unknown as GPUDevice;

interface Machine {
  readonly isSoftware: boolean;
  readonly numerics?: Numerics;
  readonly kvCacheDtype?: KvCacheDtype;
}

/** A model, built as a load builds it. Its weights are 0, and are nowhere but on the pages of this test. */
async function built(file: ModelFile, { isSoftware, numerics = 'f32', kvCacheDtype = 'f32' }: Machine) {
  const config = readModelConfig(file);
  const adapter = { vendor: '', architecture: isSoftware ? 'swiftshader' : '', device: '', description: '', isSoftware, features: [] };
  const plan = planCache(config, { kvCacheDtype }, { isSoftware, budgetBytes: 2 ** 40, maxNumSeqs: defaultLimits({ isSoftware }).maxNumSeqs });
  const matrices = { numerics, maxBindingBytes: LIMITS.maxBufferSize, ...matrixLayout({ isSoftware }) };
  const asked = { file, config, plan, matrices, limits: defaultLimits({ isSoftware }), gpuMemoryBytes: 2 ** 40 };
  const { weights, destinations, fitted } = await allocate(asked, new BufferPool(device));
  const { scheduler, state, layout } = fitted.made;
  const builder = new OpBuilder(device);
  const sizes = { ...kernelSizes(adapter, config), blockSize: scheduler.blockSize, maxBlocks: layout.maxBlocks };
  const limits = { ...sizes, kvCacheDtype, numerics, subgroups: true };
  const ops = await runCooperatively(buildDecoder({ builder, config, state, limits }, weights));
  await builder.ready();
  const rows = new ReferenceRows(file.tensors, destinations);
  const zeros = new Uint8Array(2 ** 26);
  for (const { name, byteLength } of file.tensors) {
    for (let at = 0; at < byteLength; at += zeros.length) rows.keep(name, at, zeros.subarray(0, Math.min(zeros.length, byteLength - at)));
  }
  const tileRows = isSoftware ? 1 : 4;
  const { maxNumSeqs } = scheduler;
  return { builder, ops, config, weights, cache: { ...scheduler, dtype: kvCacheDtype }, maxNumSeqs, tileRows, matrices: rows.take() };
}

async function tiny(options: TinyModelOptions, machine: Machine) {
  return built(await readModelFile(memorySource(tinyModel(options))), machine);
}

/** The cost of a model's test. */
function costOf(model: Awaited<ReturnType<typeof built>>) {
  const answers = runSync(knownAnswers(model));
  const dispatches = answers.reduce((sum, each) => sum + each.dispatches.length, 0);
  return { answers, dispatches, bytes: answers.reduce((sum, { bytes }) => sum + bytes, 0) };
}

const COMBINATIONS: readonly (readonly [TinyModelOptions, Machine])[] = [
  [{ preset: 'narrow', type: 'Q4_1' }, { isSoftware: true }],
  [{ preset: 'narrow', type: 'F16', intermediateSize: 128 }, { isSoftware: false, kvCacheDtype: 'f16' }],
  [{ preset: 'stories', type: 'BF16' }, { isSoftware: true, kvCacheDtype: 'int8' }],
  [{ preset: 'qwen2', type: 'mixed' }, { isSoftware: true, numerics: 'dp4a' }],
  [{ preset: 'qwen2', type: 'Q8_0' }, { isSoftware: false, numerics: 'f16', kvCacheDtype: 'int8' }],
  [{ preset: 'qwen3', type: 'mixed', tied: false }, { isSoftware: false, numerics: 'dp4a', kvCacheDtype: 'f16' }],
];

test('every kernel of a decoder has an entry, every entry is used, and no test has more dispatches or bytes than it may', async () => {
  const used = new Set(['rope-kv-write']); // without biases, norm or 8 bits it is a product's epilogue
  for (const [options, machine] of COMBINATIONS) {
    const model = await tiny(options, machine);
    for (const op of model.ops) used.add(model.builder.boundKernel(op).spec.name);
    const { dispatches, bytes, answers } = costOf(model);
    expect(answers.length).toBeGreaterThan(10);
    expect(dispatches).toBeLessThanOrEqual(MOST_DISPATCHES);
    expect(bytes).toBeLessThan(MOST_BYTES);
  }
  expect([...used].toSorted()).toEqual([...TESTS_OF_KERNELS.keys()].toSorted());
});

const modelNamed = (wanted: string) => headerOf(MODELS.find(({ name }) => name === wanted) ?? expect.fail(`no ${wanted}`));

test.each([true, false])('SmolLM2-135M, software: %s: each matrix with each kernel that is compiled for it, whole with that of decoding', async (isSoftware) => {
  const { answers, dispatches, bytes } = costOf(await built(await modelNamed('SmolLM2-135M'), { isSoftware }));
  const products = answers.filter(({ kernel }) => kernel.startsWith('matmul'));
  const names = [
    'logits-int8-49152x576', 'rope-kv-write-int4-960x576', 'residual-int4-576x576', 'silu-mul-int4-3072x576', 'residual-int4-576x1536',
  ].map((name) => `matmul-${name}`);
  expect(products.map(({ kernel }) => kernel).toSorted()).toEqual([...names, ...names].toSorted());
  const cut = products.filter((answer) => answer.dispatches.some(({ op, step, grid }) => `${grid}` !== `${op.grid(step)}`));
  expect(cut.map(({ kernel }) => kernel)).toEqual([names[0]]);
  expect(cut.map((answer) => answer.dispatches[0]?.step.samples)).toEqual([isSoftware ? 4 : 8]);
  expect({ dispatches, megabytes: Math.round(bytes / 1e6) }).toEqual(isSoftware ? { dispatches: 15, megabytes: 56 } : { dispatches: 17, megabytes: 56 });
});

test.each(['Qwen3-4B', 'Llama-3.1-8B'])('%s, whose matrices are computed in part', async (name) => {
  const { dispatches, bytes, answers } = costOf(await built(await modelNamed(name), { isSoftware: false }));
  expect(answers.length).toBeGreaterThan(10);
  expect(dispatches).toBeLessThanOrEqual(MOST_DISPATCHES);
  expect(bytes).toBeLessThanOrEqual(MOST_BYTES);
});

test('without memory for its inputs and results the test is left out, and the log says so', async () => {
  const { builder, ops, tileRows, ...model } = await tiny({ preset: 'narrow', type: 'Q4_1' }, { isSoftware: true });
  const popErrorScope = async () => ({ message: 'the GPU is full' });
  const adapter = { vendor: '', architecture: '', device: '', description: '', isSoftware: true, features: [] };
  const gpu = { device: { ...device, popErrorScope } as GPUDevice, adapter, hasSubgroups: false, supportedNumerics: [], lost: new Promise<never>(() => {}) };
  const first = { builder, ops, subgroups: false, tileRows: () => tileRows };
  const lines: string[] = [];
  const log = (level: string, message: string): void => void lines.push(`${level}: ${message}`);
  expect(await trustedDecoder({ gpu, model, first, plain: undefined, signal: new AbortController().signal, log })).toBe(first);
  expect(lines).toEqual([expect.stringMatching(/^warn: .*without a test of their results.*the GPU is full/)]);
});

test.each([
  { sizes: [1, 2, 3], total: 10, share: Infinity },
  { sizes: [10, 10], total: 10, share: 5 },
  { sizes: [1, 20, 3, 20], total: 14, share: 5 },
  { sizes: [], total: 5, share: Infinity },
])('of $total, each of $sizes may have $share', ({ sizes, total, share }) => {
  expect(largestShare(sizes, total)).toBe(share);
});
