import { ggmlTypeNamed } from './ggml-types.ts';
import { halfFloats } from './half-floats.ts';

/** How to read a block of a ggml type. Its size is in ggml-types.ts. */
interface BlockReader {
  /** Writes the weights of the block at `at`. */
  readonly dequantise: (bytes: DataView, at: number, weights: Float32Array) => void;
  /** The `min` of a block whose weights kernels compute as `q * scale + min`. @default 0 */
  readonly minimum?: (bytes: DataView, at: number) => number;
}

/**
 * The types by name, from ggml's definitions: the block structs of ggml-common.h, and `dequantize_row_*` of ggml-quants.c.
 * Nothing here is shared with the packed layout, because this checks it.
 */
const BLOCK_READERS: Readonly<Record<string, BlockReader>> = {
  Q4_0: { dequantise: dequantiseQ4_0, minimum: (bytes, at) => -8 * halfAt(bytes, at) },
  Q4_1: { dequantise: dequantiseQ4_1, minimum: (bytes, at) => halfAt(bytes, at + 2) },
  Q8_0: { dequantise: dequantiseQ8_0 },
  F16: { dequantise: (bytes, at, weights) => weights.fill(halfAt(bytes, at)) },
  BF16: { dequantise: (bytes, at, weights) => weights.fill(bfloatAt(bytes, at)) },
  F32: { dequantise: (bytes, at, weights) => weights.fill(bytes.getFloat32(at, true)) },
};

/** f16 d; 16 bytes with quants 0 to 15 in their low nibbles and 16 to 31 in their high ones. Weights are (q - 8) * d. */
function dequantiseQ4_0(bytes: DataView, at: number, weights: Float32Array): void {
  const d = halfAt(bytes, at);
  for (let i = 0; i < 16; i++) {
    const quants = bytes.getUint8(at + 2 + i);
    weights[i] = ((quants & 15) - 8) * d;
    weights[i + 16] = ((quants >> 4) - 8) * d;
  }
}

/** f16 d, f16 m; nibbles as in Q4_0. Weights are q * d + m; the product is exact, and the sum is rounded to f32. */
function dequantiseQ4_1(bytes: DataView, at: number, weights: Float32Array): void {
  const d = halfAt(bytes, at);
  const m = halfAt(bytes, at + 2);
  for (let i = 0; i < 16; i++) {
    const quants = bytes.getUint8(at + 4 + i);
    weights[i] = (quants & 15) * d + m;
    weights[i + 16] = (quants >> 4) * d + m;
  }
}

/** f16 d; 32 signed bytes. Weights are q * d. */
function dequantiseQ8_0(bytes: DataView, at: number, weights: Float32Array): void {
  const d = halfAt(bytes, at);
  for (let i = 0; i < 32; i++) weights[i] = bytes.getInt8(at + 2 + i) * d;
}

function halfAt(bytes: DataView, at: number): number {
  return halfFloats().values[bytes.getUint16(at, true)] ?? NaN;
}

const scratch = new DataView(new ArrayBuffer(4));

/** bfloat16: the upper half of an f32. */
function bfloatAt(bytes: DataView, at: number): number {
  scratch.setUint32(0, bytes.getUint16(at, true) << 16);
  return scratch.getFloat32(0);
}

/** Weights, and what the rounding errors of a product with them are relative to. */
export interface DequantisedWeights {
  /** The f32 numbers of ggml's own dequantisation. */
  readonly values: Float32Array<ArrayBuffer>;
  /** |q * scale| + |min|, because kernels add the two parts on their own. Of floats, and without a `min`, |value|. */
  readonly magnitudes: Float64Array<ArrayBuffer>;
}

/**
 * The weights of whole blocks, in order, for example of a row.
 *
 * @param ggufType one of `SUPPORTED_TYPES`
 */
export function dequantise(ggufType: string, bytes: Uint8Array): DequantisedWeights {
  const reader = BLOCK_READERS[ggufType];
  const type = ggmlTypeNamed(ggufType);
  if (reader === undefined || type === undefined) throw new Error(`there is no dequantisation of ${ggufType}`);
  const { blockSize, blockBytes } = type;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array((bytes.length / blockBytes) * blockSize);
  const magnitudes = new Float64Array(values.length);
  for (let at = 0, first = 0; at < bytes.length; at += blockBytes, first += blockSize) {
    reader.dequantise(view, at, values.subarray(first, first + blockSize));
    const minimum = reader.minimum?.(view, at) ?? 0;
    for (let i = first; i < first + blockSize; i++) {
      magnitudes[i] = Math.abs((values[i] ?? NaN) - minimum) + Math.abs(minimum);
    }
  }
  return { values, magnitudes };
}
