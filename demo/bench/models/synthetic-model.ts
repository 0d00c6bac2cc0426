import { type ByteSource, checkRange } from '../../../src/core/byte-source.ts';
import { deriveSeed, seededRandom } from '../seeded-random.mjs';
import { BLOCK_BYTES, byteLength, type GgmlType, toHalf } from './ggml-types.ts';
import { type GgufTensorInfo, type GgufValue, writeGgufHeader } from './gguf-header.ts';

/** The names of the shapes. */
export const SYNTHETIC = ['135m', '0.6b', '1b', '8b'] as const;
export type Synthetic = (typeof SYNTHETIC)[number];

/** What a model is made of, in elements. */
export interface SyntheticShape {
  readonly name: string;
  readonly architecture: 'llama' | 'qwen2' | 'qwen3';
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly vocabSize: number;
  /** The longest sequence, in tokens. @default 8192 */
  readonly contextLength?: number;
  /** Whether the output head is the embedding. */
  readonly tied: boolean;
  /** The layers' matrices; embedding and head are Q8_0. */
  readonly type: 'Q4_0' | 'Q4_1';
}

export const SYNTHETIC_SHAPES: Readonly<Record<Synthetic, SyntheticShape>> = {
  '135m': {
    name: 'SmolLM2-135M shape',
    architecture: 'llama',
    hiddenSize: 576,
    intermediateSize: 1536,
    numLayers: 30,
    numHeads: 9,
    numKvHeads: 3,
    headSize: 64,
    vocabSize: 49_152,
    tied: true,
    type: 'Q4_1',
  },
  '0.6b': {
    name: 'Qwen3-0.6B shape',
    architecture: 'qwen3',
    hiddenSize: 1024,
    intermediateSize: 3072,
    numLayers: 28,
    numHeads: 16,
    numKvHeads: 8,
    headSize: 128,
    vocabSize: 151_936,
    tied: true,
    type: 'Q4_0',
  },
  '1b': {
    name: 'Llama-3.2-1B shape',
    architecture: 'llama',
    hiddenSize: 2048,
    intermediateSize: 8192,
    numLayers: 16,
    numHeads: 32,
    numKvHeads: 8,
    headSize: 64,
    vocabSize: 128_256,
    tied: true,
    type: 'Q4_0',
  },
  '8b': {
    name: 'Llama-3.1-8B shape',
    architecture: 'llama',
    hiddenSize: 4096,
    intermediateSize: 14_336,
    numLayers: 32,
    numHeads: 32,
    numKvHeads: 8,
    headSize: 128,
    vocabSize: 128_256,
    tied: false,
    type: 'Q4_0',
  },
};

/** Blocks that a tensor's bytes repeat: a prime, so that no two rows of a matrix are alike where a row has more than one. */
const PERIOD_BLOCKS = 8191;

/**
 * A GGUF file that is nowhere: whatever is read of it is made then, the same bytes for the same place however it is read,
 * at about the speed of copying. Weights are random, with a spread that leaves a normalised row's size as it is, so that
 * activations and logits stay finite. It has no tokenizer: it is for `loadRunner`, not for a chat.
 */
export function syntheticModel(shape: SyntheticShape): ByteSource {
  const { tensors, header, offsets, totalBytes } = syntheticHeader(shape);
  const periods = new Map<string, Uint8Array>();
  const places = tensors.map((tensor, i): Place => {
    const start = offsets[i] ?? 0;
    return { start, end: start + byteLength(tensor.type, elementsOf(tensor)), period: periodOf(tensor, periods) };
  });
  const id = shape.name;
  const read = async (offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> => {
    checkRange(id, totalBytes, offset, length);
    const bytes = new Uint8Array(length); // zero between tensors
    if (offset < header.length) bytes.set(header.subarray(offset, offset + length));
    for (const place of places) fill(bytes, offset, place);
    return bytes;
  };
  return { id, size: totalBytes, read };
}

/** Such a file's header, and where its tensors are. */
export function syntheticHeader(shape: SyntheticShape) {
  const tensors = tensorsOf(shape);
  return { tensors, ...writeGgufHeader(metadataOf(shape), tensors) };
}

/** A tensor's range of the file, and the bytes that it repeats. */
interface Place {
  readonly start: number;
  readonly end: number;
  readonly period: Uint8Array;
}

/** Writes what a tensor has of the range that begins at `offset` of the file. */
function fill(bytes: Uint8Array, offset: number, { start, end, period }: Place): void {
  const to = Math.min(end, offset + bytes.length);
  let at = Math.max(start, offset);
  while (at < to) {
    const from = (at - start) % period.length;
    const count = Math.min(period.length - from, to - at);
    bytes.set(period.subarray(from, from + count), at - offset);
    at += count;
  }
}

function elementsOf({ shape }: GgufTensorInfo): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** The repeated bytes of a tensor, shared by all of its type and width. */
function periodOf({ type, shape }: GgufTensorInfo, known: Map<string, Uint8Array>): Uint8Array {
  const [columns = 1] = shape;
  const key = `${type} ${columns}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const period = type === 'F32' ? ones() : randomBlocks(type, 1 / Math.sqrt(columns), key);
  known.set(key, period);
  return period;
}

/** A norm's weights. */
function ones(): Uint8Array {
  return new Uint8Array(new Float32Array(256).fill(1).buffer);
}

/** Blocks of uniform quants around zero, of weights with the standard deviation `spread`. */
function randomBlocks(type: GgmlType, spread: number, key: string): Uint8Array {
  const random = seededRandom(deriveSeed(1, key));
  const bytes = new Uint8Array(PERIOD_BLOCKS * BLOCK_BYTES[type]).map(() => random.uint32());
  const view = new DataView(bytes.buffer);
  const steps = type === 'Q8_0' ? 256 : 16;
  const scale = spread * Math.sqrt(12 / (steps * steps - 1)); // a discrete uniform's deviation is sqrt((n^2 - 1) / 12)
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES[type]) {
    view.setUint16(at, toHalf(scale), true);
    if (type === 'Q4_1') view.setUint16(at + 2, toHalf(-7.5 * scale), true);
  }
  return bytes;
}

function tensorsOf(shape: SyntheticShape): readonly GgufTensorInfo[] {
  const { hiddenSize: hidden, intermediateSize: ffn, numLayers, vocabSize } = shape;
  const heads = shape.numHeads * shape.headSize;
  const kvHeads = shape.numKvHeads * shape.headSize;
  const matrix = (name: string, columns: number, rows: number, type: GgmlType = shape.type): GgufTensorInfo => ({
    name: `${name}.weight`,
    shape: [columns, rows],
    type,
  });
  const vector = (name: string, length: number): GgufTensorInfo => ({ name, shape: [length], type: 'F32' });
  const norm = (name: string, length = hidden): GgufTensorInfo => vector(`${name}.weight`, length);
  const biases = [['q', heads], ['k', kvHeads], ['v', kvHeads]] as const;
  const layers = Array.from({ length: numLayers }, (_, i) => [
    norm(`blk.${i}.attn_norm`),
    matrix(`blk.${i}.attn_q`, hidden, heads),
    matrix(`blk.${i}.attn_k`, hidden, kvHeads),
    matrix(`blk.${i}.attn_v`, hidden, kvHeads),
    ...(shape.architecture === 'qwen3' ? ['attn_q_norm', 'attn_k_norm'].map((part) => norm(`blk.${i}.${part}`, shape.headSize)) : []),
    ...(shape.architecture === 'qwen2' ? biases.map(([part, length]) => vector(`blk.${i}.attn_${part}.bias`, length)) : []),
    matrix(`blk.${i}.attn_output`, heads, hidden),
    norm(`blk.${i}.ffn_norm`),
    matrix(`blk.${i}.ffn_gate`, hidden, ffn),
    matrix(`blk.${i}.ffn_up`, hidden, ffn),
    matrix(`blk.${i}.ffn_down`, ffn, hidden),
  ]);
  const ends = ['token_embd', ...(shape.tied ? [] : ['output'])].map((name) => matrix(name, hidden, vocabSize, 'Q8_0'));
  return [...ends, ...layers.flat(), norm('output_norm')];
}

function metadataOf(shape: SyntheticShape): Readonly<Record<string, GgufValue>> {
  const { architecture } = shape;
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const own: Readonly<Record<string, GgufValue>> = {
    context_length: u32(shape.contextLength ?? 8192),
    embedding_length: u32(shape.hiddenSize),
    block_count: u32(shape.numLayers),
    feed_forward_length: u32(shape.intermediateSize),
    'attention.head_count': u32(shape.numHeads),
    'attention.head_count_kv': u32(shape.numKvHeads),
    'attention.key_length': u32(shape.headSize),
    'attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-5 },
    'rope.freq_base': { type: 'f32', value: 500_000 },
    'rope.dimension_count': u32(shape.headSize),
  };
  return {
    'general.architecture': { type: 'string', value: architecture },
    'general.name': { type: 'string', value: shape.name },
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${architecture}.${key}`, value])),
  };
}
