import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { missingSupport } from '../../../src/client/support.ts';
import { WEBGPU_BROWSERS } from '../../../src/core/webgpu-browsers.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import { explainFailure, openGpu } from '../../../src/gpu/device.ts';

const gpuWithoutAdapter = { requestAdapter: async () => null } as unknown as GPU;

test('where the worker has no WebGPU, it says that it is the worker', async () => {
  const message = expect.stringMatching(/worker.*navigator\.gpu.*Chrome.*Safari.*Firefox/s);
  await expect(openGpu(undefined)).rejects.toMatchObject({ code: 'webgpu_unavailable', message });
});

test('where the browser has WebGPU and no adapter, browsers that have it are no advice', async () => {
  const error: unknown = await openGpu(gpuWithoutAdapter).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'webgpu_unavailable', message: expect.stringContaining('offers no GPU') });
  expect(String(error)).not.toContain('Firefox');
});

test('a core adapter is preferred; compatibility mode is asked for where there is none, and named in the summary', async () => {
  vi.stubGlobal('GPUShaderStage', { COMPUTE: 4 });
  for (const core of [true, false]) {
    const { gpu } = fakeGpu([], []);
    const levels: unknown[] = [];
    const requestAdapter = async (options: GPURequestAdapterOptions): Promise<GPUAdapter | null> => {
      levels.push(options.featureLevel);
      return core || options.featureLevel === 'compatibility' ? gpu.requestAdapter() : null;
    };
    const { adapter } = await openGpu({ requestAdapter, wgslLanguageFeatures: gpu.wgslLanguageFeatures } as unknown as GPU);
    expect(levels).toEqual(core ? ['core'] : ['core', 'compatibility']);
    expect(adapter.isCompatibility).toBe(core ? undefined : true);
  }
  vi.unstubAllGlobals();
});

interface Compiler {
  /** Compiles a kernel, or rejects. @default compiles all */
  readonly compile?: () => Promise<void>;
  readonly lost?: Promise<{ readonly reason: string; readonly message: string }>;
}

/** A browser whose GPU has these features; what its device was asked for. */
function fakeGpu(features: readonly GPUFeatureName[], languageFeatures: readonly string[], compiler: Compiler = {}) {
  const { compile = async () => {}, lost = new Promise(() => {}) } = compiler;
  const requestDevice = vi.fn(async ({ requiredFeatures = [] }: GPUDeviceDescriptor) => ({
    features: new Set(requiredFeatures),
    lost,
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createShaderModule: () => ({ getCompilationInfo: async () => ({ messages: [] }) }),
    createComputePipelineAsync: compile,
  }));
  const info = { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter: false };
  const adapter = { features: new Set(features), limits: {}, info, requestDevice };
  const gpu = { requestAdapter: async () => adapter, wgslLanguageFeatures: new Set(languageFeatures) };
  const asked = (): Iterable<GPUFeatureName> => requestDevice.mock.calls[0]?.[0].requiredFeatures ?? [];
  return { gpu: gpu as unknown as GPU, asked };
}

test('f16 is asked for where it is to be computed in, and there is no other way to have it', async () => {
  vi.stubGlobal('GPUShaderStage', { COMPUTE: 4 });
  for (const numerics of ['f32', 'dp4a', 'f16'] as const) {
    const { gpu, asked } = fakeGpu(['shader-f16'], []);
    const opened = await openGpu(gpu, numerics);
    expect([...asked()]).toEqual(numerics === 'f16' ? ['shader-f16'] : []);
    expect(opened.supportedNumerics).toEqual(numerics === 'f16' ? ['f32', 'f16'] : ['f32']);
  }
  const { gpu, asked } = fakeGpu([], ['packed_4x8_integer_dot_product']);
  expect((await openGpu(gpu, 'f16')).supportedNumerics).toEqual(['f32', 'dp4a']);
  expect([...asked()]).toEqual([]);
  vi.unstubAllGlobals();
});

describe('a driver that does not compile what its features promise', () => {
  const refuse = async (): Promise<void> => {
    throw new Error('invalid field accessor');
  };

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal('GPUShaderStage', { COMPUTE: 4 });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  async function opened(gpu: GPU, numerics: 'f32' | 'f16') {
    const opening = openGpu(gpu, numerics).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(10_000); // not all timers: a load that another file left behind looks after itself for ever
    return opening;
  }

  test('f16 is not offered', async () => {
    const { gpu } = fakeGpu(['shader-f16'], [], { compile: refuse });
    expect(await opened(gpu, 'f16')).toMatchObject({ supportedNumerics: ['f32'] });
  });

  test('subgroups are not used, and the model loads', async () => {
    const { gpu } = fakeGpu(['subgroups'], [], { compile: refuse });
    expect(await opened(gpu, 'f32')).toMatchObject({ hasSubgroups: false, supportedNumerics: ['f32'] });
  });

  test('because its GPU is gone: that is the error', async () => {
    for (const [features, numerics] of [[['subgroups'], 'f32'], [['shader-f16'], 'f16']] as const) {
      const lost = Promise.resolve({ reason: 'unknown', message: 'reset' });
      expect(await opened(fakeGpu(features, [], { compile: refuse, lost }).gpu, numerics)).toMatchObject({ code: 'device_lost' });
    }
  });
});

test('page and worker name the same browsers', async () => {
  const page = missingSupport({ document: {}, isSecureContext: true, origin: '', navigator: { locks: {} } });
  const worker = String(await openGpu(undefined).catch((reason: unknown) => reason));
  for (const { browser, from } of WEBGPU_BROWSERS) {
    expect(page).toContain(`${browser} from ${from}`);
    expect(worker).toContain(`${browser} from ${from}`);
  }
});

describe('what fails on a GPU that is gone', () => {
  const aborted = new DOMException('A valid external Instance reference no longer exists.', 'AbortError');

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  async function explained(lost: Promise<TabserveError>, error: unknown): Promise<TabserveError> {
    const explaining = explainFailure(lost, error);
    await vi.advanceTimersByTimeAsync(10_000);
    return explaining;
  }

  test('a read that WebGPU aborts is a lost device, and no caller\u2019s abort', async () => {
    const never = new Promise<TabserveError>(() => {});
    const message = expect.stringContaining('Instance reference');
    expect(await explained(never, aborted)).toMatchObject({ code: 'device_lost', name: 'TabserveError', message });
    expect(await explained(never, new Error('odd'))).toMatchObject({ code: 'internal' });
  });

  test('the device\u2019s own word on it is what counts, and an error of ours stays', async () => {
    const closed = new TabserveError('closed', 'unloaded');
    for (const error of [aborted, new Error('odd')]) expect(await explained(Promise.resolve(closed), error)).toBe(closed);
    const givenUp = new TabserveError('aborted', 'given up');
    expect(await explained(Promise.resolve(closed), givenUp)).toBe(givenUp);
  });
});
