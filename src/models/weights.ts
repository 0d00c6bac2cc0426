import type { ModelConfig } from '../core/model-config.ts';
import type { BufferPool } from '../gpu/buffers.ts';
import type { PackedMatrix } from '../kernels/matmul.ts';
import type { ModelFile } from '../formats/gguf.ts';
import { findTensor } from './architectures.ts';
import { paddedSizes } from './padded-sizes.ts';
import { interleavedHalves } from './row-permutation.ts';
import { type Destination, type MatrixLayout, type ProjectionMatrix, WeightsPlanner } from './weights-planner.ts';

/**
 * One decoder layer. Shapes are PaddedSizes, padded with zeros. A projection is several matrices where its tensors
 * cannot be packed together.
 */
export interface LayerWeights {
  readonly attentionNorm: GPUBuffer; // [hidden]
  readonly qkv: readonly ProjectionMatrix[]; // [(numHeads + 2 numKvHeads) * headSize][hidden]
  readonly qkvBias: GPUBuffer | undefined; // [(numHeads + 2 numKvHeads) * headSize], where there are biases
  readonly qkGain: GPUBuffer | undefined; // [2][headSize] of queries and keys, where they are normalised
  readonly attentionOutput: PackedMatrix; // [hidden][attended]
  readonly ffnNorm: GPUBuffer; // [hidden]
  readonly gateUp: readonly ProjectionMatrix[]; // [2 * ffn][hidden]
  readonly down: PackedMatrix; // [hidden][ffn]
}

/** Rows of queries and keys are permuted, see RowPermutation, and so are the biases and gains that go with them. */
export interface ModelWeights {
  /** Consecutive rows: several matrices where one would exceed the GPU's bindings. */
  readonly embedding: readonly ProjectionMatrix[]; // [vocabSize, rounded up to 4][hidden]
  readonly layers: readonly LayerWeights[];
  readonly outputNorm: GPUBuffer; // [hidden]
  readonly head: readonly ProjectionMatrix[]; // as the embedding; the same buffers where they are tied
}

/** The buffers of the weights, still empty, and how to fill them. */
export interface WeightsPlan {
  readonly weights: ModelWeights;
  /** Divisors of the rotation angle of each pair, where the file has them. Filled when the weights are read. */
  readonly ropeFactors: Float32Array | undefined;
  readonly destinations: ReadonlyMap<string, Destination>;
}

/**
 * Creates the buffers of every weight and says which tensor fills which. Nothing is read yet.
 *
 * @throws TabserveError `unsupported_tensor` for a type or shape that no kernel reads, and for tensors that the decoder
 *   would not use; `corrupt_model` for missing tensors or shapes that contradict the metadata.
 */
export function planWeights(file: ModelFile, config: ModelConfig, buffers: BufferPool, layout: MatrixLayout): WeightsPlan {
  const planner = new WeightsPlanner(file, buffers, layout);
  const { hiddenSize, vocabSize } = config;
  const layers = Array.from({ length: config.numLayers }, (_, i) => planLayer(planner, config, `blk.${i}`));
  const embedding = planner.split(planner.slice('token_embd.weight', vocabSize, hiddenSize));
  const head = config.tiedEmbeddings ? embedding : planner.split(planner.slice('output.weight', vocabSize, hiddenSize));
  const outputNorm = planner.vector('output_norm.weight', hiddenSize, paddedSizes(config).hidden);
  const hasFactors = config.ropeFactors && findTensor(file, 'rope_freqs.weight') !== undefined;
  const ropeFactors = hasFactors ? planner.hostVector('rope_freqs.weight', config.ropeDimensions / 2) : undefined;
  planner.refuseOthers(config.architecture);
  return { weights: { embedding, layers, outputNorm, head }, ropeFactors, destinations: planner.destinations };
}

function planLayer(planner: WeightsPlanner, config: ModelConfig, layer: string): LayerWeights {
  const { hiddenSize, intermediateSize, numHeads, numKvHeads, headSize } = config;
  const name = (suffix: string): string => `${layer}.${suffix}.weight`;
  const held = paddedSizes(config);
  const heads = numHeads * headSize;
  const permutation = config.ropeStyle === 'half-split' ? interleavedHalves(headSize, config.ropeDimensions) : undefined;
  const kvHeads = numKvHeads * headSize;
  const projections = [['attn_q', heads, permutation], ['attn_k', kvHeads, permutation], ['attn_v', kvHeads, undefined]] as const;
  const qkv = projections.map(([part, rows, own]) => planner.slice(name(part), rows, hiddenSize, { permutation: own }));
  const biases = projections.map(([part, length, own]) => ({ name: `${layer}.${part}.bias`, length, permutation: own }));
  const gains = ['attn_q_norm', 'attn_k_norm'].map((part) => ({ name: name(part), length: headSize, permutation }));
  const ofFfn = { heldRows: held.ffn };
  const gateUp = ['ffn_gate', 'ffn_up'].map((part) => planner.slice(name(part), intermediateSize, hiddenSize, ofFfn));
  const ofHidden = { heldRows: held.hidden };
  const { UNIFORM, STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  return {
    attentionNorm: planner.vector(name('attn_norm'), hiddenSize, held.hidden),
    qkv: planner.merge(qkv),
    qkvBias: config.qkvBias ? planner.vectors(`${layer} biases`, biases, UNIFORM | STORAGE | COPY_DST | COPY_SRC) : undefined,
    qkGain: config.qkNorm ? planner.vectors(`${layer} gains of queries and keys`, gains) : undefined,
    attentionOutput: planner.matrix([planner.slice(name('attn_output'), hiddenSize, heads, ofHidden)]),
    ffnNorm: planner.vector(name('ffn_norm'), hiddenSize, held.hidden),
    gateUp: planner.merge(gateUp),
    down: planner.matrix([planner.slice(name('ffn_down'), hiddenSize, intermediateSize, ofHidden)]),
  };
}
