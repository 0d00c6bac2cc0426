import type { Numerics } from '../../src/core/numerics.ts';
import { type PackedMatrix, packingOf } from '../../src/kernels/matmul.ts';
import { dequantise, type DequantisedWeights } from '../../src/quant/dequantise.ts';
import { isFloatFormat, paddedSize, TILE_LANES } from '../../src/quant/packed-layout.ts';
import { packedFormatOf, repackRows, widenScales } from '../../src/quant/repack.ts';
import { BLOCK, BLOCK_BYTES, byteLength, type GgmlType, isFloat, quantise, toHalf } from './ggml-blocks.ts';
import type { KernelLab } from './kernel-lab.ts';
import type { Random } from './random.ts';

export type MatrixType = GgmlType;

/** A matrix in a GGUF type's own blocks, row-major. */
export interface BlockMatrix {
  readonly type: MatrixType;
  readonly rows: number;
  readonly columns: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Every quant at random, -128 and 0 among them; scales of either sign, of weights of about 0.05 in size. Floats of about as
 * much, and one of 32 so small that as a half float it is no normal number.
 */
export function randomMatrix(type: MatrixType, rows: number, columns: number, random: Random): BlockMatrix {
  if (isFloat(type)) {
    const size = (): number => (random.below(32) === 0 ? 2 ** -18 : 0.05);
    const values = new Float32Array(rows * columns).map(() => size() * random.normal());
    return { type, rows, columns, bytes: new Uint8Array(quantise(type, values)) };
  }
  const bytes = new Uint8Array(byteLength(type, rows * columns));
  const words = new Uint32Array(bytes.buffer, 0, Math.floor(bytes.length / 4));
  for (let i = 0; i < words.length; i++) words[i] = random.uint32();
  for (let i = words.length * 4; i < bytes.length; i++) bytes[i] = random.below(256);
  const view = new DataView(bytes.buffer);
  const step = type === 'Q8_0' ? 0.1 / 127 : 0.1 / 15;
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES[type]) {
    const scale = step * (0.5 + random.uniform()) * (random.below(2) === 0 ? 1 : -1);
    view.setUint16(at, toHalf(scale), true);
    if (type === 'Q4_1') view.setUint16(at + 2, toHalf(-7.5 * scale + 0.02 * random.normal()), true);
  }
  return { type, rows, columns, bytes };
}

/** One row's weights, by column. */
export type RowWeights = DequantisedWeights;

/** The weights of one row. test/unit/quant/dequantise.test.ts holds them against ggml's. */
export function weightsOfRow(matrix: BlockMatrix, row: number): RowWeights {
  return dequantise(matrix.type, rowsFrom(matrix, row, row + 1).bytes);
}

/** The rows from `first` to before `end`. */
export function rowsFrom({ type, columns, bytes }: BlockMatrix, first: number, end: number): BlockMatrix {
  const rowBytes = byteLength(type, columns);
  return { type, columns, rows: end - first, bytes: bytes.slice(first * rowBytes, end * rowBytes) };
}

/** The matrix on the GPU, packed as the loader packs it. */
export function packMatrix(
  lab: KernelLab,
  block: BlockMatrix,
  options: { numerics?: Numerics; wideScales?: boolean; maxSlices?: number } = {},
): PackedMatrix {
  const { type, rows, bytes } = block;
  const format = packedFormatOf(type) ?? 'int8';
  const numerics = isFloatFormat(format) ? 'f32' : (options.numerics ?? 'f32');
  const { weights, scales } = repackRows(type, bytes, rows, block.columns, packingOf({ numerics }));
  const wideScales = format === 'int4' && (options.wideScales ?? false);
  const scaleBuffer = lab.input(wideScales ? widenScales(scales) : scales);
  const columns = paddedSize(block.columns);
  const sliceGroups = Math.ceil(columns / BLOCK / (options.maxSlices ?? 1));
  const shape = { format, numerics, wideScales, rows, columns, lanes: TILE_LANES, sliceGroups };
  return { ...shape, weights: lab.input(weights), scales: scaleBuffer };
}
