/**
 * Seeded random-weight models of each supported architecture, small enough to make in a moment, with a real tokenizer, in the formats that
 * tabserve loads. Same seed, same bytes, in Node and in every browser.
 */
import { BLOCK, dequantise, isFloat, quantise, type GgmlType } from './ggml-blocks.ts';
import { writeGguf, type GgufContents, type GgufTensor, type GgufValue } from './gguf-writer.ts';
import { createRandom, deriveSeed } from './random.ts';
import { wordTokens, tinyTokenizer } from './tiny-tokenizer.ts';

/** A model's shape, in elements. Matrices whose rows are no whole blocks are F16, as llama.cpp's quantiser leaves them. */
export interface TinyShape {
  readonly architecture: 'llama' | 'qwen2' | 'qwen3';
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  /** At least 259. */
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly ropeTheta: number;
  readonly tied: boolean;
  /** Llama 3's factors, one for each rotated pair. */
  readonly ropeFactors?: boolean;
}

const COMMON = { architecture: 'llama', numLayers: 2, contextLength: 512, ropeTheta: 10_000, tied: true } as const;

/**
 * `gqa3`: 3 heads of 32 over 1, rows that are no multiple of 64. `gqa9`: 9 heads of 32 over 3, separate output head.
 * `wide`: 3 heads of 64 over 1, more attention rows (192) than hidden elements (160). `narrow`: 4 heads of 16 over 2.
 * `stories`: rows of 172 elements, as stories260K's, and RoPE factors. `qwen2`: biases, 5 heads of 32 over 1, separate output
 * head. `qwen3`: QK-norm, twice as many attention rows as hidden elements, heads that are no multiple of a tile's rows.
 * `smollm2`: one layer at SmolLM2-135M's own sizes, with a vocabulary of 512. `babble`: the demo's stand-in where no
 * model can be had; it says words only.
 */
export const TINY_SHAPES = {
  gqa3: { ...COMMON, hiddenSize: 96, intermediateSize: 160, numHeads: 3, numKvHeads: 1, headSize: 32, vocabSize: 300 },
  gqa9: {
    ...COMMON,
    hiddenSize: 288,
    intermediateSize: 416,
    numHeads: 9,
    numKvHeads: 3,
    headSize: 32,
    vocabSize: 324,
    tied: false,
  },
  wide: {
    ...COMMON,
    hiddenSize: 160,
    intermediateSize: 224,
    numHeads: 3,
    numKvHeads: 1,
    headSize: 64,
    vocabSize: 260,
    ropeTheta: 100_000,
  },
  narrow: {
    ...COMMON,
    hiddenSize: 64,
    intermediateSize: 96,
    numLayers: 3,
    numHeads: 4,
    numKvHeads: 2,
    headSize: 16,
    vocabSize: 292,
  },
  stories: {
    ...COMMON,
    hiddenSize: 64,
    intermediateSize: 172,
    numHeads: 4,
    numKvHeads: 2,
    headSize: 16,
    vocabSize: 260,
    ropeTheta: 500_000,
    ropeFactors: true,
  },
  qwen2: {
    ...COMMON,
    architecture: 'qwen2',
    hiddenSize: 160,
    intermediateSize: 224,
    numHeads: 5,
    numKvHeads: 1,
    headSize: 32,
    vocabSize: 268,
    tied: false,
  },
  qwen3: {
    ...COMMON,
    architecture: 'qwen3',
    hiddenSize: 96,
    intermediateSize: 192,
    numHeads: 4,
    numKvHeads: 2,
    headSize: 48,
    vocabSize: 276,
    ropeTheta: 1_000_000,
  },
  smollm2: {
    ...COMMON,
    hiddenSize: 576,
    intermediateSize: 1536,
    numLayers: 1,
    numHeads: 9,
    numKvHeads: 3,
    headSize: 64,
    vocabSize: 512,
    ropeTheta: 100_000,
  },
  babble: {
    ...COMMON,
    hiddenSize: 192,
    intermediateSize: 512,
    numHeads: 3,
    numKvHeads: 1,
    headSize: 64,
    vocabSize: 512,
    contextLength: 2048,
    tied: false,
  },
} as const satisfies Record<string, TinyShape>;
export type TinyPreset = keyof typeof TINY_SHAPES;

export interface TinyModelOptions extends Partial<TinyShape> {
  /** The shape that the other fields change. @default 'gqa3' */
  readonly preset?: TinyPreset;
  /** The matrices' type; `mixed` is SmolLM2's mixture: Q4_1 matrices, Q8_0 embedding (and output head). */
  readonly type: GgmlType | 'mixed';
  /** @default 1 */
  readonly seed?: number;
  /** Stores the very numbers that the quantised weights stand for, as F32: what an exact oracle needs. */
  readonly dequantised?: boolean;
}

/** The bytes of a GGUF file. */
export function tinyModel(options: TinyModelOptions): Uint8Array<ArrayBuffer> {
  return writeGguf(tinyModelContents(options));
}

/** The contents that {@link tinyModel} writes, for references that need no file. */
export function tinyModelContents(options: TinyModelOptions): GgufContents {
  const { preset = 'gqa3', type, seed = 1, dequantised = false, ...changes } = options;
  const shape: TinyShape = { ...TINY_SHAPES[preset], ...changes };
  const tensors = tensorSpecs(shape, preset).map((spec) => makeTensor(spec, type, seed, dequantised));
  return { metadata: tinyModelMetadata(shape, `tiny-${preset}-${type}-seed${seed}`), tensors };
}

/** A model of that shape, with the tiny tokenizer. */
export function tinyModelMetadata(shape: TinyShape, name: string): Readonly<Record<string, GgufValue>> {
  const { architecture } = shape;
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const own: Readonly<Record<string, GgufValue>> = {
    context_length: u32(shape.contextLength),
    embedding_length: u32(shape.hiddenSize),
    block_count: u32(shape.numLayers),
    feed_forward_length: u32(shape.intermediateSize),
    'attention.head_count': u32(shape.numHeads),
    'attention.head_count_kv': u32(shape.numKvHeads),
    'attention.key_length': u32(shape.headSize),
    'attention.value_length': u32(shape.headSize),
    'attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-5 },
    'rope.freq_base': { type: 'f32', value: shape.ropeTheta },
    'rope.dimension_count': u32(shape.headSize),
    vocab_size: u32(shape.vocabSize),
  };
  return {
    'general.architecture': { type: 'string', value: architecture },
    'general.name': { type: 'string', value: name },
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${architecture}.${key}`, value])),
    ...tinyTokenizer(shape.vocabSize),
  };
}

interface TensorSpec {
  readonly name: string;
  /** GGUF order: [columns, rows] of a matrix, [elements] of a vector. */
  readonly shape: readonly number[];
  /** Standard deviation. */
  readonly spread: number;
  /** The mean of a vector's elements. @default 1 */
  readonly mean?: number;
  /** A vector's elements, where they are not drawn. */
  readonly values?: readonly number[];
  /** Which rows stay; the others become zero. */
  readonly rows?: readonly boolean[];
}

/** Spreads are chosen so that attention is neither flat nor a point, and logits have a spread of a few units. */
function tensorSpecs(shape: TinyShape, preset: TinyPreset): readonly TensorSpec[] {
  const { hiddenSize: hidden, intermediateSize: ffn, headSize, numLayers, vocabSize } = shape;
  const q = shape.numHeads * headSize;
  const kv = shape.numKvHeads * headSize;
  const matrix = (name: string, columns: number, rows: number, gain: number): TensorSpec => ({
    name: `${name}.weight`,
    shape: [columns, rows],
    spread: gain / Math.sqrt(columns),
  });
  const norm = (name: string, length = hidden): TensorSpec => ({ name: `${name}.weight`, shape: [length], spread: 0.25 });
  const bias = (name: string, length: number): TensorSpec => ({ name: `${name}.bias`, shape: [length], spread: 1, mean: 0 });
  const { architecture } = shape;
  const heads = ['token_embd', ...(shape.tied ? [] : ['output'])].map((name) => ({
    ...matrix(name, hidden, vocabSize, 3),
    ...(preset === 'babble' && name === 'output' ? { rows: wordTokens(vocabSize) } : {}),
  }));
  const layers = Array.from({ length: numLayers }, (_, layer) => [
    norm(`blk.${layer}.attn_norm`),
    matrix(`blk.${layer}.attn_q`, hidden, q, 1.6),
    matrix(`blk.${layer}.attn_k`, hidden, kv, 1.6),
    matrix(`blk.${layer}.attn_v`, hidden, kv, 1),
    ...(architecture === 'qwen2'
      ? [bias(`blk.${layer}.attn_q`, q), bias(`blk.${layer}.attn_k`, kv), bias(`blk.${layer}.attn_v`, kv)]
      : []),
    ...(architecture === 'qwen3'
      ? [norm(`blk.${layer}.attn_q_norm`, headSize), norm(`blk.${layer}.attn_k_norm`, headSize)]
      : []),
    matrix(`blk.${layer}.attn_output`, q, hidden, 1),
    norm(`blk.${layer}.ffn_norm`),
    matrix(`blk.${layer}.ffn_gate`, hidden, ffn, 1.5),
    matrix(`blk.${layer}.ffn_up`, hidden, ffn, 1),
    matrix(`blk.${layer}.ffn_down`, ffn, hidden, 1),
  ]);
  return [...ropeFactors(shape), ...heads, norm('output_norm'), ...layers.flat()];
}

/** As Llama 3 has them: fast pairs as they are, slow ones 8 times as slow, between them in between. */
function ropeFactors({ ropeFactors: has = false, headSize }: TinyShape): readonly TensorSpec[] {
  if (!has) return [];
  const pairs = headSize / 2;
  const values = Array.from({ length: pairs }, (_, i) => Math.min(8, Math.max(1, (16 * i) / pairs - 3)));
  return [{ name: 'rope_freqs.weight', shape: [pairs], spread: 0, values }];
}

function makeTensor(spec: TensorSpec, modelType: GgmlType | 'mixed', seed: number, dequantised: boolean): GgufTensor {
  const { name, shape, spread, rows, mean = 1 } = spec;
  const random = createRandom(deriveSeed(seed, name));
  const isVector = shape.length === 1;
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).map(
    (_, i) => spec.values?.[i] ?? (isVector ? mean : 0) + random.normal() * spread,
  );
  rows?.forEach((stays, row) => stays || values.fill(0, row * (shape[0] ?? 0), (row + 1) * (shape[0] ?? 0)));
  const isHead = name === 'token_embd.weight' || name === 'output.weight';
  const wanted: GgmlType = isVector ? 'F32' : modelType !== 'mixed' ? modelType : isHead ? 'Q8_0' : 'Q4_1';
  const type: GgmlType = isFloat(wanted) || (shape[0] ?? 0) % BLOCK === 0 ? wanted : 'F16';
  const data = quantise(type, values);
  if (!dequantised || type === 'F32') return { name, shape, type, data };
  return { name, shape, type: 'F32', data: quantise('F32', dequantise(type, data, values.length)) };
}
