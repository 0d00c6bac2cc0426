import type { Numerics } from '../../src/core/numerics.ts';
import { type PackedMatrix, packingOf } from '../../src/kernels/matmul.ts';
import { packedFormatOf, repackRows, TILE_LANES, widenScales } from '../../src/loader/repack.ts';
import { BLOCK, BLOCK_BYTES, byteLength, fromHalf, toHalf } from './ggml-blocks.ts';
import type { KernelLab } from './kernel-lab.ts';
import type { Random } from './random.ts';

export type MatrixType = 'Q4_0' | 'Q4_1' | 'Q8_0';

/** A matrix in a GGUF type's own blocks, row-major. */
export interface BlockMatrix {
  readonly type: MatrixType;
  readonly rows: number;
  readonly columns: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Every quant at random, -128 and 0 among them; scales of either sign, of weights of about 0.05 in size. */
export function randomMatrix(type: MatrixType, rows: number, columns: number, random: Random): BlockMatrix {
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
export interface RowWeights {
  /** q * scale + min */
  readonly values: Float64Array;
  /** |q * scale| + |min|: what rounding errors are relative to. */
  readonly magnitudes: Float64Array;
}

/** The weights of one row, read from its blocks by GGML's definition. */
export function weightsOfRow({ type, columns, bytes }: BlockMatrix, row: number): RowWeights {
  const rowBytes = byteLength(type, columns);
  const view = new DataView(bytes.buffer, bytes.byteOffset + row * rowBytes, rowBytes);
  const values = new Float64Array(columns);
  const magnitudes = new Float64Array(columns);
  for (let k = 0; k < columns; k++) {
    const at = Math.floor(k / BLOCK) * BLOCK_BYTES[type];
    const scale = fromHalf(view.getUint16(at, true));
    const min = type === 'Q4_1' ? fromHalf(view.getUint16(at + 2, true)) : type === 'Q4_0' ? -8 * scale : 0;
    const q = type === 'Q8_0' ? view.getInt8(at + 2 + (k % BLOCK)) : nibble(view, at + (type === 'Q4_1' ? 4 : 2), k % BLOCK);
    values[k] = q * scale + min;
    magnitudes[k] = Math.abs(q * scale) + Math.abs(min);
  }
  return { values, magnitudes };
}

/** Quants 0 to 15 are the low halves of 16 bytes, 16 to 31 the high ones. */
function nibble(view: DataView, at: number, i: number): number {
  const byte = view.getUint8(at + (i % 16));
  return i < 16 ? byte & 15 : byte >> 4;
}

/** The matrix on the GPU, packed as the loader packs it. */
export function packMatrix(
  lab: KernelLab,
  block: BlockMatrix,
  options: { numerics?: Numerics; wideScales?: boolean; maxSlices?: number } = {},
): PackedMatrix {
  const { type, rows, columns, bytes } = block;
  const { numerics = 'f32' } = options;
  const { weights, scales } = repackRows(type, bytes, rows, columns, packingOf({ numerics }));
  const format = packedFormatOf(type) ?? 'int8';
  const wideScales = format === 'int4' && (options.wideScales ?? false);
  const scaleBuffer = lab.input(wideScales ? widenScales(scales) : scales);
  const sliceGroups = Math.ceil(columns / BLOCK / (options.maxSlices ?? 1));
  const shape = { format, numerics, wideScales, rows, columns, lanes: TILE_LANES, sliceGroups };
  return { ...shape, weights: lab.input(weights), scales: scaleBuffer };
}
