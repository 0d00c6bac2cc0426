import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { BufferRange } from '../gpu/kernel.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { attention, type AttentionLanes } from '../kernels/attention.ts';
import { embed } from '../kernels/embed.ts';
import { filter } from '../kernels/filter.ts';
import { logitBias } from '../kernels/logit-bias.ts';
import { matmul } from '../kernels/matmul.ts';
import { penalties } from '../kernels/penalties.ts';
import { rmsNorm } from '../kernels/rms-norm.ts';
import { ropeKvWrite } from '../kernels/rope-kv-write.ts';
import { sample } from '../kernels/sample.ts';
import { siluMul } from '../kernels/silu-mul.ts';
import type { LayerWeights, ModelWeights, PlacedMatrix } from './weights.ts';

/** One layer's part of the paged KV cache. */
export interface LayerCache {
  readonly keys: GPUBuffer; // [block] of layerBlockBytes, see shaders/kv-write/
  readonly values: GPUBuffer; // as many
}

/** What a step reads and writes, apart from the weights. Buffers over rows have room for a multiple of 8 rows. */
export interface DecoderState {
  readonly rows: BufferRange; // [maxRows] of ROW_BYTES
  readonly singles: BufferRange; // [maxRows] of TILE_BYTES: tiles of one row
  readonly tiles: BufferRange; // [maxRows / 2] of TILE_BYTES: tiles of several
  readonly samples: BufferRange; // [maxSamples] of SAMPLE_BYTES
  readonly blockTables: BufferRange; // [maxSamples][maxBlocks] u32
  readonly rowCount: BufferRange; // uniform: how many rows
  readonly sampleCount: BufferRange; // uniform: how many samples
  readonly rotation: GPUBuffer; // [positions][ropeDimensions / 2] of (cosine, sine)
  readonly cache: readonly LayerCache[];
  readonly hidden: GPUBuffer; // [maxRows][hiddenSize]
  readonly normed: GPUBuffer; // [maxRows][hiddenSize]
  readonly qkv: GPUBuffer; // [maxRows][(numHeads + 2 numKvHeads) * headSize]
  readonly queries: GPUBuffer; // see kernels/rope-kv-write.ts
  readonly partials: GPUBuffer; // see kernels/attention.ts
  readonly attended: GPUBuffer; // [maxRows][numHeads * headSize]
  readonly gateUp: GPUBuffer; // [maxRows][2 * intermediateSize]
  readonly gated: GPUBuffer; // [maxRows][intermediateSize]
  readonly logits: GPUBuffer; // [maxSamples][vocabSize]
  readonly biases: GPUBuffer; // [maxSamples], by slot, of SLOT_BIASES_BYTES
  readonly tokenCounts: GPUBuffer; // [maxSamples][vocabSize], by slot; see kernels/penalties.ts
  readonly maxima: GPUBuffer; // see kernels/filter.ts, as the next two
  readonly selections: GPUBuffer;
  readonly histograms: GPUBuffer;
  readonly candidates: GPUBuffer; // see kernels/sample.ts
  readonly lastTokens: GPUBuffer; // [maxSamples] u32, by slot
}

/** What kernels are built for. */
export interface DecoderLimits {
  readonly blockSize: number;
  readonly kvCacheDtype: KvCacheDtype;
  /** Blocks a sequence may have. */
  readonly maxBlocks: number;
  readonly subgroups: boolean;
  readonly attentionLanes: AttentionLanes;
  readonly normLanes: number;
  readonly ropeLanes: number;
  readonly filterLanes: number;
  /** The most tokens an INT4 matmul's lane carries. */
  readonly largestInt4Tile: 4 | 8;
}

/** What every op of a decoder is made from. */
interface Parts {
  readonly builder: OpBuilder;
  readonly config: ModelConfig;
  readonly state: DecoderState;
  readonly limits: DecoderLimits;
}

/**
 * A whole step of a llama-shaped decoder, from token ids to sampled token ids, as the ops to dispatch in order.
 * Touvron et al., LLaMA, 2023: pre-normalisation, rotary embedding, grouped-query attention, SwiGLU.
 */
export function buildDecoder(parts: Parts, weights: ModelWeights): readonly Op[] {
  const { builder, state, limits } = parts;
  const { rows, lastTokens, hidden, rowCount, sampleCount, normed, logits } = state;
  return [
    embed(builder, { table: weights.embedding, rows, lastTokens, y: hidden, counts: rowCount }),
    ...weights.layers.flatMap((layer, index) => decoderLayer(parts, layer, state.cache[index])),
    norm(parts, weights.outputNorm, true),
    matmul(builder, {
      matrix: weights.head,
      x: normed,
      y: logits,
      counts: sampleCount,
      tokens: (step) => step.samples,
      subgroups: limits.subgroups,
    }),
    ...sampler(parts),
  ];
}

/** From logits to sampled token ids, in vLLM's order: see LogitsParams. */
function sampler({ builder, config, state, limits }: Parts): readonly Op[] {
  const shape = { ...config, ...limits, ...state, counts: state.sampleCount };
  return [logitBias(builder, shape), penalties(builder, shape), ...filter(builder, shape), ...sample(builder, shape)];
}

function decoderLayer(parts: Parts, layer: LayerWeights, cache: LayerCache | undefined): Op[] {
  if (cache === undefined) throw new Error('every layer needs a cache');
  const { builder, config, state, limits } = parts;
  const { hidden, normed, qkv, attended, gateUp, gated, rowCount: counts } = state;
  const shape = { ...config, ...limits, ...state, ...cache, counts };
  return [
    norm(parts, layer.attentionNorm),
    ...project(parts, layer.qkv, normed, qkv),
    ropeKvWrite(builder, { ...shape, interleaved: config.ropeStyle === 'interleaved' }),
    ...attention(builder, { ...shape, y: attended }),
    ...project(parts, layer.attentionOutput, attended, hidden, true),
    norm(parts, layer.ffnNorm),
    ...project(parts, layer.gateUp, normed, gateUp),
    siluMul(builder, { size: config.intermediateSize, gateUp, y: gated, counts }),
    ...project(parts, layer.down, gated, hidden, true),
  ];
}

/** Normalises hidden into normed: every row, or only those to be sampled. */
function norm({ builder, config, state, limits }: Parts, weight: GPUBuffer, gather = false): Op {
  const { hidden: x, normed: y, samples } = state;
  const shape = { size: config.hiddenSize, epsilon: config.rmsNormEps, lanes: limits.normLanes };
  return rmsNorm(builder, { ...shape, x, weight, samples, y, gather });
}

/** y = x · Wᵀ, or y += x · Wᵀ; the parts of W fill y's rows from left to right. */
function project(
  { builder, state, limits }: Parts,
  weights: readonly PlacedMatrix[],
  x: GPUBuffer,
  y: GPUBuffer,
  accumulate = false,
): Op[] {
  const outputStride = weights.reduce((sum, { matrix }) => sum + matrix.rows, 0);
  return weights.map(({ matrix, outputOffset }) =>
    matmul(builder, {
      matrix,
      x,
      y,
      outputOffset,
      outputStride,
      accumulate,
      counts: state.rowCount,
      tokens: (step) => step.tokens,
      subgroups: limits.subgroups,
      largestTile: matrix.format === 'int4' ? limits.largestInt4Tile : 8,
    }),
  );
}
