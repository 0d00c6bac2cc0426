import { TabserveError } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import type { AdapterSummary, StepCounters } from '../core/metrics.ts';
import { checkLoadSettings, type GrantedSettings, type LoadSettings } from '../core/load-settings.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { Numerics } from '../core/numerics.ts';
import type { Profiler } from '../core/profile.ts';
import type { SchedulerConfig } from '../core/scheduler-output.ts';
import type { DeferredKernel, KernelWidths, Tunable } from '../tuning/tunable.ts';
import { runCooperatively } from '../core/cooperative-task.ts';
import { untilAborted } from '../core/until-aborted.ts';
import { BufferPool } from '../gpu/buffers.ts';
import { explainFailure, type Gpu, openGpu } from '../gpu/device.ts';
import { OpBuilder } from '../gpu/op.ts';
import { readyTokens } from '../gpu/variant-set.ts';
import type { ModelFile } from '../formats/gguf.ts';
import { ATTENTION } from '../kernels/attention.ts';
import { candidateLanes, defaultLanes, type Heads } from '../kernels/attention-lanes.ts';
import { type PackedMatrix, slicesOf, tilesOf } from '../kernels/matmul.ts';
import { multiplyAdd } from '../kernels/shaders.ts';
import { candidateTilings, defaultTilings, isDeferredWidth, type TilingPlan } from '../kernels/tiling.ts';
import { readModelConfig } from '../models/architectures.ts';
import { buildDecoder } from '../models/decoder.ts';
import { ReferenceRows } from '../models/reference-rows.ts';
import { uploadWeights } from '../models/upload.ts';
import type { MatrixLayout } from '../models/weights-planner.ts';
import { allocate } from './allocate.ts';
import { fillState } from './decoder-state.ts';
import { reportCache } from './cache-report.ts';
import { gpuMemoryOf, type GpuRequest } from './gpu-budget.ts';
import { GpuModelRunner } from './gpu-model-runner.ts';
import { KvBlockTransfer } from './kv-block-transfer.ts';
import { planCache } from './kv-cache-plan.ts';
import { type BuiltDecoder, trustedDecoder } from './trusted-decoder.ts';
import { deferredKernelsOf, tunablesOf } from '../tuning/gpu-trial.ts';
import { kernelWidthsOf } from '../tuning/gpu-widths.ts';

export interface LoadRunnerOptions extends LoadSettings, GpuRequest {
  readonly file: ModelFile;
  /** Whether blocks of the KV cache can be copied out and in, which takes a staging buffer. @default false */
  readonly blockTransfer?: boolean | undefined;
  /** Receives the report on the model's context and KV cache. */
  readonly log?: (level: LogFrame['level'], message: string) => void;
  /** Aborted, with a reason, when nobody waits for the model any more. @default never */
  readonly signal?: AbortSignal | undefined;
  /** Called at the start of each stage. The progress of reading the weights is reported by the file's source. */
  readonly onStage?: (stage: 'load' | 'compile') => void;
  /** Overrides of the limits chosen for the adapter. */
  readonly limits?: Partial<
    Pick<SchedulerConfig, 'maxNumBatchedTokens' | 'maxNumSeqs' | 'maxStepsPerPlan' | 'maxPlansInFlight'>
  >;
  /** The device to use. @default the browser's, opened here */
  readonly gpu?: Gpu;
  /** The most bytes of weights in one binding. @default the device's limit */
  readonly maxBindingBytes?: number;
  /** Whether subgroup kernels are used where the adapter has them. @default true */
  readonly subgroups?: boolean;
}

/** A model on the GPU, ready to run plans. */
export interface LoadedRunner extends GrantedSettings {
  readonly runner: GpuModelRunner;
  readonly device: GPUDevice;
  readonly config: ModelConfig;
  readonly scheduler: SchedulerConfig;
  readonly adapter: AdapterSummary;
  /** Bytes of all its buffers. */
  readonly gpuBytes: number;
  /** Where it was requested. */
  readonly blockTransfer: KvBlockTransfer | undefined;
  readonly profiler: Profiler;
  /** Kernels with variants to try on this adapter. */
  readonly tunables: readonly Tunable[];
  /** Kernels in several widths. */
  readonly kernelWidths: readonly KernelWidths[];
  /** The kernels that are still to be compiled. Until then, steps use slower ones. */
  readonly deferredKernels: readonly DeferredKernel[];
  counters(): StepCounters;
  /** Settles when the device is gone; see {@link Gpu}. */
  readonly lost: Promise<TabserveError>;
  /** Destroys the device and nothing else, as a crash would. */
  loseDevice(): void;
  /** Destroys the device and its buffers. */
  destroy(): void;
}

/**
 * Loads a model onto the GPU: buffers, weights (read from the file as they are needed), shaders. When aborted, it
 * rejects immediately and frees the GPU's memory.
 *
 * @throws TabserveError `webgpu_unavailable`, `unsupported_model`, `unsupported_tensor`, `corrupt_model`,
 *   `out_of_memory`, `invalid_request` for a KV budget or a GPU too small for `maxModelLen` and for numerics that the
 *   GPU does not support, `wrong_results` where it computes wrong numbers, the errors of the file's source, and the signal's
 *   reason.
 */
export async function loadRunner(options: LoadRunnerOptions): Promise<LoadedRunner> {
  checkLoadSettings(options);
  const config = readModelConfig(options.file);
  const { numerics = 'f32', signal = new AbortController().signal } = options;
  const opened = options.gpu === undefined ? openGpu(undefined, numerics) : Promise.resolve(options.gpu);
  const gpu = await untilAborted(opened, signal, ({ device }) => device.destroy());
  const buffers = new BufferPool(gpu.device);
  const destroy = (): void => {
    buffers.destroy();
    gpu.device.destroy();
  };
  try {
    requireNumerics(gpu, numerics);
    requireUniforms(gpu, config, options.file.source.id);
    const loading = putOnGpu({ ...options, numerics, signal }, config, gpu, buffers);
    return { ...(await untilAborted(loading, signal)), destroy };
  } catch (error) {
    const failure = await explainFailure(gpu.lost, error);
    destroy();
    throw failure;
  }
}

async function putOnGpu(
  options: LoadRunnerOptions & { readonly numerics: Numerics; readonly signal: AbortSignal },
  config: ModelConfig,
  gpu: Gpu,
  buffers: BufferPool,
): Promise<Omit<LoadedRunner, 'destroy'>> {
  const { numerics, signal, maxBindingBytes = buffers.maxBytes } = options;
  const budgetBytes = gpuMemoryOf(gpu.device.limits, options.gpuMemoryBytes);
  const matrices = { numerics, maxBindingBytes, ...matrixLayout(gpu.adapter) };
  const stepLimits = { ...defaultLimits(gpu.adapter), ...options.limits };
  const { isSoftware } = gpu.adapter;
  const plan = planCache(config, options, { budgetBytes, isSoftware, maxNumSeqs: stepLimits.maxNumSeqs });
  const { dtype: kvCacheDtype } = plan;
  const asked = { ...options, config, plan, matrices, limits: stepLimits };
  const { weights, destinations, ropeFactors, blockStaging, fitted } = await allocate(asked, buffers);
  signal.throwIfAborted();
  const { scheduler, state, inputs, staging, layout } = fitted.made;
  const { level, message, contextCut, kvCacheCut } = reportCache(fitted);
  options.log?.(level, message);
  const hasSubgroups = gpu.hasSubgroups && (options.subgroups ?? true);
  const shape = { blockSize: scheduler.blockSize, kvCacheDtype, numerics, maxBlocks: layout.maxBlocks };
  const limits = { ...shape, ...kernelSizes(gpu.adapter, config) };
  const build = async (subgroups: boolean): Promise<BuiltDecoder> => {
    const builder = new OpBuilder(gpu.device, { common: [multiplyAdd(gpu.adapter)] });
    const ops = await runCooperatively(buildDecoder({ builder, config, state, limits: { ...limits, subgroups } }, weights));
    const attentionSets = builder.variantSets.filter(({ options: { spec } }) => spec === ATTENTION);
    return { builder, ops, subgroups, tileRows: () => readyTokens(attentionSets) };
  };
  const first = await build(hasSubgroups);
  signal.throwIfAborted();
  options.onStage?.('load');
  const referenceRows = new ReferenceRows(options.file.tensors, destinations);
  await uploadWeights(gpu.device, options.file, destinations, referenceRows); // while the pipelines compile
  await fillState(gpu.device, config, scheduler, state, ropeFactors);
  options.onStage?.('compile');
  const model = { config, weights, cache: { ...scheduler, dtype: kvCacheDtype }, maxNumSeqs: scheduler.maxNumSeqs, matrices: referenceRows.take() };
  const plain = hasSubgroups ? () => build(false) : undefined;
  const { builder, ops, subgroups, tileRows } = await trustedDecoder({ gpu, model, first, plain, signal, log: options.log });
  const vocabSize = config.vocabSize;
  const parts = { gpu, builder, ops, state, inputs, staging, layout, scheduler, tileRows, vocabSize };
  const runner = new GpuModelRunner(parts);
  const { device, lost } = gpu;
  const adapter = subgroups ? gpu.adapter : { ...gpu.adapter, features: gpu.adapter.features.filter((each) => each !== 'subgroups') };
  const loseDevice = (): void => device.destroy();
  const counters = (): StepCounters => runner.counters();
  const layerBytes = plan.blockBytes / (2 * config.numLayers);
  const blockTransfer = blockStaging && new KvBlockTransfer(device, state.cache, layerBytes, blockStaging);
  const cuts = { contextCut, kvCacheCut };
  const kvCache = { kvCacheDtype, kvCacheBytes: fitted.bytes, ...cuts, gpuBytes: buffers.bytes, blockTransfer };
  const { profiler } = runner;
  const tuning = {
    tunables: tunablesOf(gpu, builder),
    kernelWidths: kernelWidthsOf(gpu, builder),
    deferredKernels: deferredKernelsOf(gpu, builder),
  };
  const made = { ...kvCache, numerics, profiler, ...tuning, counters };
  return { runner, device, config, scheduler, adapter, ...made, lost, loseDevice };
}

/**
 * @throws TabserveError `invalid_request` where the GPU does not support the numerics: others would give other answers.
 */
function requireNumerics(gpu: Gpu, numerics: Numerics): void {
  if (gpu.supportedNumerics.includes(numerics)) return;
  const missing = { f32: '', dp4a: 'WGSL’s packed_4x8_integer_dot_product', f16: 'the feature shader-f16' }[numerics];
  const message = `numerics is ${numerics}, for which this browser and GPU lack ${missing}; leave it out for f32.`;
  throw new TabserveError('invalid_request', message, { param: 'numerics' });
}

/** Of WebGPU's compatibility mode, where they are lower than the core's. */
const COMPATIBILITY_LIMITS = { lanes: 128, uniformBytes: 16_384 } as const;

/** @throws TabserveError `unsupported_model` for more biases than compatibility mode binds as a uniform. */
function requireUniforms({ adapter }: Gpu, { qkvBias, numHeads, numKvHeads, headSize }: ModelConfig, id: string): void {
  const most = COMPATIBILITY_LIMITS.uniformBytes / 4;
  if (adapter.isCompatibility !== true || !qkvBias || (numHeads + 2 * numKvHeads) * headSize <= most) return;
  const message = `${id} has more than ${most} biases a layer, and this GPU has WebGPU’s compatibility mode only, which binds no more. Smaller models of its family run here.`;
  throw new TabserveError('unsupported_model', message);
}

/**
 * A software adapter takes about a second for the work of milliseconds on a GPU: it gets shorter steps, and no
 * look-ahead. It gets one plan in flight, because a second would take the cores that run the host's work, and one takes
 * most of the time allowed for all plans in flight.
 */
export function defaultLimits({ isSoftware }: Pick<AdapterSummary, 'isSoftware'>) {
  return isSoftware
    ? { maxNumBatchedTokens: 32, minNumBatchedTokens: 32, maxNumSeqs: 8, maxStepsPerPlan: 1, maxPlansInFlight: 1 }
    : { maxNumBatchedTokens: 256, maxNumSeqs: 16, maxStepsPerPlan: 4, maxPlansInFlight: 2 };
}

/** A software adapter keeps its few threads busy without splitting k, and is slow at loops and conversions. */
export function matrixLayout({ isSoftware }: Pick<AdapterSummary, 'isSoftware'>): Pick<MatrixLayout, 'wideScales' | 'maxSlices'> {
  return { wideScales: isSoftware, maxSlices: isSoftware ? 1 : 16 };
}

/** A software adapter is slow at barriers with many lanes, and has few registers. */
export function kernelSizes({ isSoftware, architecture, isCompatibility = false }: AdapterSummary, config: Heads) {
  const maxLanes = isCompatibility ? COMPATIBILITY_LIMITS.lanes : 256;
  // In a loop, Mesa's compiler makes a prompt's products twice as fast; SwiftShader's a fifth slower
  // (test/bench/LOG.md).
  const unrolled = architecture === 'swiftshader';
  const tilings = (matrix: PackedMatrix, paired: boolean): TilingPlan => {
    const needs = { isSoftware, maxLanes, unrolled, matrixTiles: tilesOf(matrix), paired, slices: slicesOf(matrix) };
    return {
      tilings: defaultTilings(needs),
      isDeferred: (tokens) => isDeferredWidth(needs, tokens),
      candidateTilings: (tokens) => candidateTilings(needs, tokens),
    };
  };
  const sizes = isSoftware ? { ropeLanes: 8, filterLanes: 16 } : { ropeLanes: 64, filterLanes: maxLanes };
  const lanes = { attentionLanes: defaultLanes(isSoftware, config), attentionCandidates: candidateLanes(isSoftware, config) };
  // Attention over tiles takes longest to compile, and a software adapter would compile it before a model is ready.
  return { ...sizes, unrolled, tilings, ...lanes, deferTiles: isSoftware };
}
