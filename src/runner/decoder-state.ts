import type { ModelConfig } from '../core/model-config.ts';
import type { SchedulerConfig } from '../core/scheduler-output.ts';
import { runCooperatively } from '../core/cooperative-task.ts';
import type { BufferPool } from '../gpu/buffers.ts';
import { maxPartials, partialsBytes } from '../kernels/attention.ts';
import { filterBytes } from '../kernels/filter.ts';
import { SLOT_BIASES_BYTES } from '../kernels/logit-bias.ts';
import { squaresBytes } from '../kernels/matmul.ts';
import { quantisedBytes } from '../kernels/quantise.ts';
import { queriesBytes, rotationTable } from '../kernels/rope-kv-write.ts';
import { candidatesBytes, logitsStride } from '../kernels/sample.ts';
import { ATTENTION_SPLIT } from '../kernels/step-inputs.ts';
import type { DecoderState, LayerCache } from '../models/decoder.ts';
import { paddedSizes } from '../models/padded-sizes.ts';
import type { MatrixLayout } from '../models/weights-planner.ts';
import { type StepInputsLayout, stepInputsLayout } from './step-inputs.ts';

/** A scheduler's limits, with that of the partial results of attention that its steps have room for. */
export type StepLimits = SchedulerConfig & Required<Pick<SchedulerConfig, 'splitTokens' | 'maxNumPartials'>>;

/** Adds the limit on partial results of attention. */
export function withPartials(config: ModelConfig, scheduler: SchedulerConfig): StepLimits {
  const { blockSize, maxModelLen } = scheduler;
  const shape = { ...config, blockSize, maxBlocks: Math.ceil(maxModelLen / blockSize) };
  return { ...scheduler, splitTokens: ATTENTION_SPLIT, maxNumPartials: maxPartials(shape, maxRowsOf(scheduler)) };
}

/** A matmul lane may carry 8 tokens, and reads that many rows even where fewer exist. */
function maxRowsOf({ maxNumBatchedTokens, maxNumSeqs }: SchedulerConfig): number {
  return Math.ceil(Math.max(maxNumBatchedTokens, maxNumSeqs) / 8) * 8;
}

/** Creates every buffer that steps read and write, except the KV cache. Nothing is written yet. */
export function createState(
  buffers: BufferPool,
  config: ModelConfig,
  scheduler: StepLimits,
  cache: readonly LayerCache[],
  { numerics }: Pick<MatrixLayout, 'numerics'>,
): { state: DecoderState; inputs: GPUBuffer; staging: readonly GPUBuffer[]; layout: StepInputsLayout } {
  const { blockSize, maxModelLen, maxNumSeqs, maxStepsPerPlan, maxPlansInFlight = 1 } = scheduler;
  const maxBlocks = Math.ceil(maxModelLen / blockSize);
  const maxRows = maxRowsOf(scheduler);
  const maxSamples = Math.ceil(maxNumSeqs / 8) * 8;
  const layout = stepInputsLayout(maxRows, maxNumSeqs, maxBlocks);
  const { STORAGE, UNIFORM, COPY_DST, MAP_READ } = GPUBufferUsage;
  const inputs = buffers.create('step inputs', layout.size, STORAGE | UNIFORM | COPY_DST);
  const range = (offset: number, size: number) => ({ buffer: inputs, offset, size });
  const f32 = (label: string, length: number): GPUBuffer => buffers.create(label, length * 4);

  const rotation = f32('rotation', maxModelLen * config.ropeDimensions);
  const { numHeads, numKvHeads, headSize, vocabSize } = config;
  const { hidden, attended, ffn } = paddedSizes(config);
  const widest = Math.max(hidden, attended, ffn);
  const filters = filterBytes(vocabSize, maxNumSeqs);
  const state: DecoderState = {
    rows: range(layout.rows, layout.singles - layout.rows),
    singles: range(layout.singles, layout.tiles - layout.singles),
    tiles: range(layout.tiles, layout.samples - layout.tiles),
    samples: range(layout.samples, layout.blockTables - layout.samples),
    blockTables: range(layout.blockTables, layout.size - layout.blockTables),
    rowCount: range(layout.rowCount, 16),
    sampleCount: range(layout.sampleCount, 16),
    rotation,
    cache,
    hidden: f32('hidden', maxRows * hidden),
    weighted: f32('weighted', maxRows * hidden),
    squares: buffers.create('squares', squaresBytes(hidden, maxRows)),
    qkv: f32('qkv', maxRows * (numHeads + 2 * numKvHeads) * headSize),
    queries: buffers.create('queries', queriesBytes(config, maxRows)),
    partials: buffers.create('partials', partialsBytes(config, scheduler.maxNumPartials)),
    attended: f32('attended', maxRows * attended),
    gateUp: f32('gate and up', maxRows * 2 * ffn),
    gated: f32('gated', maxRows * ffn),
    quantised: numerics === 'f32' ? undefined : buffers.create('quantised', quantisedBytes(numerics, widest, maxRows)),
    logits: f32('logits', maxSamples * logitsStride(vocabSize)),
    biases: buffers.create('logit biases', maxNumSeqs * SLOT_BIASES_BYTES),
    tokenCounts: f32('token counts', maxNumSeqs * vocabSize),
    maxima: buffers.create('maxima', filters.maxima),
    selections: buffers.create('selections', filters.selections),
    histograms: buffers.create('histograms', filters.histograms),
    candidates: buffers.create('candidates', candidatesBytes(vocabSize, maxNumSeqs)),
    lastTokens: f32('last tokens', maxNumSeqs),
  };
  const staging = Array.from({ length: maxPlansInFlight }, () =>
    buffers.create('sampled ids', state.lastTokens.size * maxStepsPerPlan, MAP_READ | COPY_DST),
  );
  return { state, inputs, staging, layout };
}

/** Writes the buffers that every step reads and none writes, cooperatively. */
export async function fillState(
  device: GPUDevice,
  config: ModelConfig,
  { maxModelLen }: SchedulerConfig,
  state: DecoderState,
  factors: Float32Array | undefined,
): Promise<void> {
  const scaling = { factor: config.ropeScalingFactor, factors };
  const table = await runCooperatively(rotationTable(maxModelLen, config.ropeDimensions, config.ropeTheta, scaling));
  device.queue.writeBuffer(state.rotation, 0, table);
}
