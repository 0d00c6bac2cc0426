import { TabserveError } from '../core/errors.ts';
import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { SchedulerConfig } from '../core/scheduler-output.ts';
import type { BufferPool } from '../gpu/buffers.ts';
import { partialsBytes } from '../kernels/attention.ts';
import { layerBlockBytes, queriesBytes, rotationTable } from '../kernels/rope-kv-write.ts';
import { candidatesBytes } from '../kernels/sample.ts';
import type { DecoderState } from '../models/decoder.ts';
import { type StepInputsLayout, stepInputsLayout } from './step-inputs.ts';

/** Tokens a KV block. */
export const BLOCK_SIZE = 16;

/** Bytes of one KV block over all layers: keys and values. */
export function kvBlockBytes(config: ModelConfig, dtype: KvCacheDtype): number {
  return config.numLayers * 2 * layerBlockBytes({ ...config, blockSize: BLOCK_SIZE }, dtype);
}

/** What a user may say about the KV cache. */
export interface CacheOptions {
  readonly kvCacheBytes: number;
  readonly kvCacheDtype: KvCacheDtype;
  readonly maxModelLen: number | undefined;
}

/**
 * Sizes the KV cache by its budget, and a sequence by the cache and the model.
 *
 * @throws TabserveError `invalid_request` where the budget does not hold what was asked for.
 */
export function sizeCache(config: ModelConfig, { kvCacheBytes, kvCacheDtype, maxModelLen }: CacheOptions) {
  const wanted = Math.min(maxModelLen ?? config.maxPositionEmbeddings, config.maxPositionEmbeddings);
  const blockBytes = kvBlockBytes(config, kvCacheDtype);
  const numBlocks = Math.floor(kvCacheBytes / blockBytes);
  const capacity = numBlocks * BLOCK_SIZE;
  if (numBlocks < 1 || (maxModelLen !== undefined && capacity < wanted)) {
    const needed = Math.ceil(wanted / BLOCK_SIZE) * blockBytes;
    throw new TabserveError(
      'invalid_request',
      `kvCacheBytes is ${kvCacheBytes}: room for ${capacity} tokens. ${wanted} tokens need ${needed}.`,
      { param: 'kvCacheBytes' },
    );
  }
  return { blockSize: BLOCK_SIZE, numBlocks, maxModelLen: Math.min(wanted, capacity) };
}

/** Creates every buffer that steps read and write. */
export function createState(
  buffers: BufferPool,
  config: ModelConfig,
  scheduler: SchedulerConfig,
  kvCacheDtype: KvCacheDtype,
): { state: DecoderState; inputs: GPUBuffer; layout: StepInputsLayout } {
  const { blockSize, numBlocks, maxModelLen, maxNumSeqs } = scheduler;
  const maxBlocks = Math.ceil(maxModelLen / blockSize);
  // A matmul lane may carry 8 tokens, and reads that many rows even where fewer are there.
  const maxRows = Math.ceil(Math.max(scheduler.maxNumBatchedTokens, maxNumSeqs) / 8) * 8;
  const maxSamples = Math.ceil(maxNumSeqs / 8) * 8;
  const layout = stepInputsLayout(maxRows, maxNumSeqs, maxBlocks);
  const { STORAGE, UNIFORM, COPY_DST } = GPUBufferUsage;
  const inputs = buffers.create('step inputs', layout.size, STORAGE | UNIFORM | COPY_DST);
  const range = (offset: number, size: number) => ({ buffer: inputs, offset, size });
  const f32 = (label: string, length: number): GPUBuffer => buffers.create(label, length * 4);

  const rotation = f32('rotation', maxModelLen * config.ropeDimensions);
  buffers.device.queue.writeBuffer(rotation, 0, rotationTable(maxModelLen, config.ropeDimensions, config.ropeTheta));
  const { numHeads, numKvHeads, headSize, hiddenSize, intermediateSize, vocabSize } = config;
  const cacheBytes = numBlocks * layerBlockBytes({ ...config, blockSize }, kvCacheDtype);
  const state: DecoderState = {
    rows: range(layout.rows, layout.samples - layout.rows),
    samples: range(layout.samples, layout.blockTables - layout.samples),
    blockTables: range(layout.blockTables, layout.size - layout.blockTables),
    rowCount: range(layout.rowCount, 16),
    sampleCount: range(layout.sampleCount, 16),
    rotation,
    cache: Array.from({ length: config.numLayers }, (_, i) => ({
      keys: buffers.create(`keys of layer ${i}`, cacheBytes),
      values: buffers.create(`values of layer ${i}`, cacheBytes),
    })),
    hidden: f32('hidden', maxRows * hiddenSize),
    normed: f32('normed', maxRows * hiddenSize),
    qkv: f32('qkv', maxRows * (numHeads + 2 * numKvHeads) * headSize),
    queries: buffers.create('queries', queriesBytes(config, maxRows)),
    partials: buffers.create('partials', partialsBytes({ ...config, blockSize, maxBlocks }, maxRows)),
    attended: f32('attended', maxRows * numHeads * headSize),
    gateUp: f32('gate and up', maxRows * 2 * intermediateSize),
    gated: f32('gated', maxRows * intermediateSize),
    logits: f32('logits', maxSamples * vocabSize),
    candidates: buffers.create('candidates', candidatesBytes(vocabSize, maxNumSeqs)),
    lastTokens: f32('last tokens', maxNumSeqs),
  };
  return { state, inputs, layout };
}
