import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { AdapterSummary } from '../core/metrics.ts';
import type { Numerics } from '../core/numerics.ts';
import { type FoundAdapter, requestAdapter } from '../core/request-adapter.ts';
import { NO_ADAPTER_SENTENCE, WEBGPU_BROWSERS_SENTENCE } from '../core/webgpu-browsers.ts';
import { summarizeAdapter } from './adapter-summary.ts';
import { compilesF16 } from './f16-probe.ts';
import { formsQuads } from './quad-probe.ts';

/** A GPU device and its capabilities. */
export interface Gpu {
  readonly device: GPUDevice;
  readonly adapter: AdapterSummary;
  /** Whether subgroup kernels may be used: the feature exists, and lanes form quads as the kernels expect. */
  readonly hasSubgroups: boolean;
  /** The number types in which products can be computed. */
  readonly supportedNumerics: readonly Numerics[];
  /** Settles when the device is gone: `device_lost`, or `closed` where it was destroyed on purpose. */
  readonly lost: Promise<TabserveError>;
}

/** The longest time between a first failed call and the notice that the device is lost. */
const LOSS_NOTICE_MS = 1000;

/**
 * Opens the GPU, in WebGPU's compatibility mode where there is no core adapter. Limits on buffer sizes are raised to the adapter's. Every other limit stays at WebGPU's default, so
 * that code that works on one machine works on all.
 *
 * @param numerics the number type of the products: its feature is requested where the adapter has it
 * @throws TabserveError `webgpu_unavailable` where there is no WebGPU or no adapter.
 */
export async function openGpu(
  gpu: GPU | undefined = globalThis.navigator?.gpu,
  numerics: Numerics = 'f32',
): Promise<Gpu> {
  if (gpu === undefined) {
    const message = 'The worker that runs the engine has no WebGPU (navigator.gpu is missing there), whatever the page has.';
    throw new TabserveError('webgpu_unavailable', `${message} ${WEBGPU_BROWSERS_SENTENCE} Not all of them have it in workers.`);
  }
  const { adapter, isCompatibility } = await findAdapter(gpu);
  const hasSubgroups = adapter.features.has('subgroups');
  const wanted: readonly GPUFeatureName[] = [...OPTIONAL_FEATURES, ...(numerics === 'f16' ? (['shader-f16'] as const) : [])];
  const device = await requestDevice(adapter, wanted);
  const lost = lossOf(device);
  try {
    const usesSubgroups = hasSubgroups && (await isTrue(formsQuads(device), lost));
    const summary = summarizeAdapter(adapter, { hasSubgroups: usesSubgroups, isCompatibility });
    return { device, adapter: summary, hasSubgroups: usesSubgroups, supportedNumerics: await numericsOf(gpu, device, lost), lost };
  } catch (error) {
    throw await explainFailure(lost, error);
  }
}

/** A probe's answer: no where the adapter's compiler fails at it. A lost device has no answer. */
async function isTrue(probe: Promise<boolean>, lost: Promise<TabserveError>): Promise<boolean> {
  try {
    return await probe;
  } catch (error) {
    const failure = await explainFailure(lost, error);
    if (failure.code !== 'internal') throw failure;
    return false;
  }
}

async function findAdapter(gpu: GPU): Promise<FoundAdapter> {
  const found = await requestAdapter(gpu).catch((cause: unknown) => {
    throw new TabserveError('webgpu_unavailable', `${NO_ADAPTER_SENTENCE} It says: ${String(cause)}.`, { cause });
  });
  if (found === undefined) throw new TabserveError('webgpu_unavailable', NO_ADAPTER_SENTENCE);
  return found;
}

/** Features that are requested where the adapter has them. Only profiles use timestamps. */
const OPTIONAL_FEATURES = ['subgroups', 'timestamp-query'] as const;

async function numericsOf(gpu: Partial<GPU>, device: GPUDevice, lost: Promise<TabserveError>): Promise<readonly Numerics[]> {
  const hasF16 = device.features.has('shader-f16') && (await isTrue(compilesF16(device), lost));
  return [
    'f32',
    // The first browsers with WebGPU did not list the language's features.
    ...(gpu.wgslLanguageFeatures?.has('packed_4x8_integer_dot_product') ? (['dp4a'] as const) : []),
    ...(hasF16 ? (['f16'] as const) : []),
  ];
}

async function requestDevice(adapter: GPUAdapter, wanted: readonly GPUFeatureName[]): Promise<GPUDevice> {
  try {
    return await adapter.requestDevice({
      requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
      requiredLimits: {
        maxBufferSize: adapter.limits.maxBufferSize,
        maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
      },
    });
  } catch (cause) {
    const message = `The browser has a GPU, but gives no device: ${String(cause)}`;
    throw new TabserveError('webgpu_unavailable', message, { cause });
  }
}

/**
 * The error to throw for a failure on a GPU. A lost device first fails pending calls with other errors, and reports its
 * loss a moment later. An `AbortError` of WebGPU is not a caller's abort: a lost device, or a GPU process that has
 * ended, rejects reads with it.
 */
export async function explainFailure(lost: Promise<TabserveError>, error: unknown): Promise<TabserveError> {
  const isAbort = error instanceof DOMException && error.name === 'AbortError';
  const gone = `The GPU device was lost: ${String(error)}`;
  const failure = isAbort ? new TabserveError('device_lost', gone, { cause: error }) : toTabserveError(error);
  if (!isAbort && failure.code !== 'internal') return failure;
  const patience = new Promise<TabserveError>((resolve) => setTimeout(resolve, LOSS_NOTICE_MS, failure));
  return Promise.race([lost, patience]);
}

async function lossOf(device: GPUDevice): Promise<TabserveError> {
  const { reason, message } = await device.lost;
  if (reason === 'destroyed') return new TabserveError('closed', 'The model has been unloaded from the GPU.');
  return new TabserveError('device_lost', `The GPU device was lost: ${message || 'no reason given'}`);
}
