import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { Numerics } from '../core/numerics.ts';
import type { Task } from '../core/cooperative-task.ts';
import type { BufferRange } from '../gpu/kernel.ts';
import type { Op, OpBuilder, StepShape } from '../gpu/op.ts';
import { attention } from '../kernels/attention.ts';
import type { AttentionLanes } from '../kernels/attention-lanes.ts';
import { embed } from '../kernels/embed.ts';
import { filter } from '../kernels/filter.ts';
import { logitBias } from '../kernels/logit-bias.ts';
import { matmulLogits } from '../kernels/matmul-logits.ts';
import { matmulResidual } from '../kernels/matmul-residual.ts';
import { matmulRopeKvWrite } from '../kernels/matmul-rope-kv-write.ts';
import { matmulSiluMul } from '../kernels/matmul-silu-mul.ts';
import { matmulNormalised } from '../kernels/matmul-store.ts';
import type { PackedMatrix } from '../kernels/matmul.ts';
import { penalties } from '../kernels/penalties.ts';
import { quantise } from '../kernels/quantise.ts';
import { ropeKvWrite } from '../kernels/rope-kv-write.ts';
import { sample } from '../kernels/sample.ts';
import { siluMul } from '../kernels/silu-mul.ts';
import type { TilingPlan } from '../kernels/tiling.ts';
import { paddedSizes } from './padded-sizes.ts';
import type { LayerWeights, ModelWeights } from './weights.ts';
import type { ProjectionMatrix } from './weights-planner.ts';

/** One layer's part of the paged KV cache. */
export interface LayerCache {
  readonly keys: GPUBuffer; // [block] of layerBlockBytes, see shaders/kv-write/
  readonly values: GPUBuffer; // the same shape
}

/**
 * The buffers that a step reads and writes, apart from the weights. Buffers over rows have room for a multiple of 8 rows.
 * The sizes of rows are PaddedSizes.
 */
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
  readonly hidden: GPUBuffer; // [maxRows][hidden]: the residual stream
  readonly weighted: GPUBuffer; // [maxRows][hidden]: hidden times the next norm's gain
  readonly squares: GPUBuffer; // see common/inverse-rms
  readonly qkv: GPUBuffer; // [maxRows][(numHeads + 2 numKvHeads) * headSize], where rotation is a separate kernel
  readonly queries: GPUBuffer; // see kernels/rope-kv-write.ts
  readonly partials: GPUBuffer; // see kernels/attention.ts
  readonly attended: GPUBuffer; // [maxRows][attended]
  readonly gateUp: GPUBuffer; // [maxRows][2 * ffn], where silu and product are a separate kernel
  readonly gated: GPUBuffer; // [maxRows][ffn]
  readonly quantised: GPUBuffer | undefined; // see kernels/quantise.ts; unless the numerics are f32
  readonly logits: GPUBuffer; // [maxSamples][logitsStride(vocabSize)]
  readonly biases: GPUBuffer; // [maxSamples], by slot, of SLOT_BIASES_BYTES
  readonly tokenCounts: GPUBuffer; // [maxSamples][vocabSize], by slot; see kernels/penalties.ts
  readonly maxima: GPUBuffer; // see kernels/filter.ts, as the next two
  readonly selections: GPUBuffer;
  readonly histograms: GPUBuffer;
  readonly candidates: GPUBuffer; // see kernels/sample.ts
  readonly lastTokens: GPUBuffer; // [maxSamples] u32, by slot
}

/** The limits and the adapter's choices that kernels are built for. */
export interface DecoderLimits {
  readonly blockSize: number;
  readonly kvCacheDtype: KvCacheDtype;
  readonly numerics: Numerics;
  /** The most blocks of a sequence. */
  readonly maxBlocks: number;
  readonly subgroups: boolean;
  /** See MatmulArgs. */
  readonly unrolled: boolean;
  readonly attentionLanes: AttentionLanes;
  /** See AttentionArgs. */
  readonly attentionCandidates: readonly AttentionLanes[];
  /** See AttentionArgs. */
  readonly deferTiles: boolean;
  readonly ropeLanes: number;
  readonly filterLanes: number;
  /** How the lanes of a matmul share its work. `paired`: the matrix holds a gate and an up projection. */
  readonly tilings: (matrix: PackedMatrix, paired: boolean) => TilingPlan;
}

/** The inputs of every function here that makes ops. */
interface Parts {
  readonly builder: OpBuilder;
  readonly config: ModelConfig;
  readonly state: DecoderState;
  readonly limits: DecoderLimits;
}

/**
 * A whole step of a decoder-only transformer, from token ids to sampled token ids, as the ops to dispatch in order.
 * Touvron et al., LLaMA, 2023: pre-normalisation, rotary embedding, grouped-query attention, SwiGLU. Qwen2 adds biases of
 * queries, keys and values, Qwen3 their normalisation.
 *
 * A norm has no op of its own. The kernel that writes the residual stream also writes it times the norm's gain, and its
 * sums of squares. The kernels that read the stream divide their own results.
 *
 * Yields after each layer.
 */
export function* buildDecoder(parts: Parts, weights: ModelWeights): Task<readonly Op[]> {
  const { builder, config, state } = parts;
  const { layers, outputNorm, embedding, head } = weights;
  const { vocabSize } = config;
  const gainAfter = (index: number): GPUBuffer => layers[index + 1]?.attentionNorm ?? outputNorm;
  const ops: Op[] = embedding.map(({ matrix: table, outputOffset: firstToken }) =>
    embed(builder, { ...state, table, firstToken, vocabSize, gain: gainAfter(-1), counts: state.rowCount }),
  );
  for (const [layer, weightsOf] of layers.entries()) {
    yield;
    const ofLayer = decoderLayer(parts, weightsOf, state.cache[layer], gainAfter(layer));
    ops.push(...ofLayer.map((op) => ({ ...op, layer })));
  }
  yield;
  return [
    ...ops,
    ...quantised(parts, head, state.weighted),
    ...head.map(({ matrix, outputOffset }) =>
      matmulLogits(builder, {
        ...projection(parts, matrix, state.weighted),
        ...state,
        outputOffset,
        vocabSize,
        ...norm(config),
        counts: state.sampleCount,
        tokens: (step) => step.samples,
      }),
    ),
    ...sampler(parts),
  ];
}

/** From logits to sampled token ids, in vLLM's order: see LogitsParams. */
function sampler({ builder, config, state, limits }: Parts): readonly Op[] {
  const shape = { ...config, ...limits, ...state, begun: true, counts: state.sampleCount };
  return [logitBias(builder, shape), penalties(builder, shape), ...filter(builder, shape), ...sample(builder, shape)];
}

function decoderLayer(parts: Parts, layer: LayerWeights, cache: LayerCache | undefined, nextGain: GPUBuffer): Op[] {
  if (cache === undefined) throw new Error('every layer needs a cache');
  const { builder, state } = parts;
  const { weighted, gated } = state;
  return [
    ...quantised(parts, layer.qkv, weighted),
    ...queriesKeysValues(parts, layer, cache),
    ...attended(parts, layer, cache),
    ...quantised(parts, layer.gateUp, weighted),
    ...gatedUp(parts, layer.gateUp),
    ...quantised(parts, [{ matrix: layer.down }], gated),
    matmulResidual(builder, { ...state, ...projection(parts, layer.down, gated), gain: nextGain }),
  ];
}

/** Attention and its output projection. */
function attended(parts: Parts, { attentionOutput, ffnNorm: gain }: LayerWeights, cache: LayerCache): Op[] {
  const { builder, config, state, limits } = parts;
  const destination = { y: state.attended, yStride: paddedSizes(config).attended };
  return [
    ...attention(builder, { ...config, ...limits, ...state, ...cache, ...destination, counts: state.rowCount }),
    ...quantised(parts, [{ matrix: attentionOutput }], state.attended),
    matmulResidual(builder, { ...state, ...projection(parts, attentionOutput, state.attended), gain }),
  ];
}

/**
 * Writes queries, keys and values to where attention reads them. They are rotated in the matmul's epilogue where a lane has
 * all the inputs it takes. An INT8 cache needs the maximum of a head, and QK-norm its sum of squares: these have a kernel.
 */
function queriesKeysValues(parts: Parts, layer: LayerWeights, cache: LayerCache): Op[] {
  const { builder, config, state, limits } = parts;
  const { qkv, qkvBias: bias, qkGain: gain } = layer;
  const shape = { ...config, ...limits, ...state, ...cache, counts: state.rowCount };
  const { kvCacheDtype } = limits;
  if (gain === undefined && kvCacheDtype !== 'int8') {
    return qkv.map(({ matrix, outputOffset }) => {
      const product = projection(parts, matrix, state.weighted);
      return matmulRopeKvWrite(builder, { ...shape, ...norm(config), kvCacheDtype, ...product, bias, outputOffset });
    });
  }
  const before = gain !== undefined ? { gain, epsilon: config.rmsNormEps } : bias !== undefined ? { bias } : undefined;
  return [...project(parts, qkv, state.qkv), ropeKvWrite(builder, { ...shape, before })];
}

/** silu(gate) * up: in the matmul's epilogue where both are one matrix. */
function gatedUp(parts: Parts, weights: readonly ProjectionMatrix[]): Op[] {
  const { builder, config, state } = parts;
  const [first, second] = weights;
  if (first !== undefined && second === undefined) {
    const product = projection(parts, first.matrix, state.weighted, true);
    return [matmulSiluMul(builder, { ...state, ...product, ...norm(config), y: state.gated })];
  }
  const { gateUp, gated: y, rowCount: counts } = state;
  return [...project(parts, weights, gateUp), siluMul(builder, { size: paddedSizes(config).ffn, gateUp, y, counts })];
}

/** The norm's constants. */
function norm({ rmsNormEps, hiddenSize }: ModelConfig) {
  return { epsilon: rmsNormEps, normSize: hiddenSize };
}

/** y = x · Wᵀ of the normalised stream. The matrices of W fill y's rows from left to right. */
function project(parts: Parts, weights: readonly ProjectionMatrix[], y: GPUBuffer): Op[] {
  const { builder, config, state } = parts;
  const outputStride = weights.reduce((sum, { matrix }) => sum + matrix.rows, 0);
  return weights.map(({ matrix, outputOffset }) => {
    const product = projection(parts, matrix, state.weighted);
    const { squares } = state;
    return matmulNormalised(builder, { ...product, squares, ...norm(config), y, outputOffset, outputStride });
  });
}

/** The activations that matmuls read in place of x where they are not in f32. Valid until another x is quantised. */
function quantised({ builder, state, limits }: Parts, weights: readonly Pick<ProjectionMatrix, 'matrix'>[], x: GPUBuffer): readonly Op[] {
  const { numerics } = limits;
  const { quantised: y, rowCount: counts } = state;
  const needing = weights.find(({ matrix }) => matrix.numerics !== 'f32')?.matrix;
  if (needing === undefined || numerics === 'f32' || y === undefined) return [];
  return [quantise(builder, { numerics, columns: needing.columns, x, y, counts })];
}

/** Arguments that all matmuls share. */
function projection({ state, limits }: Parts, matrix: PackedMatrix, exact: GPUBuffer, paired = false) {
  const { subgroups, unrolled } = limits;
  const tokens = (step: StepShape): number => step.tokens;
  const x = matrix.numerics === 'f32' ? exact : (state.quantised ?? exact);
  return { matrix, x, counts: state.rowCount, tokens, subgroups, unrolled, ...limits.tilings(matrix, paired) };
}
