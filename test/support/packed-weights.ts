/** Single weights out of the packed layout, by its description in shaders/README.md. */
import { isFloatFormat, paddedSize, weightsPerWord } from '../../src/quant/packed-layout.ts';
import { packedFormatOf, type PackedTiles, type Packing } from '../../src/quant/repack.ts';
import { fromBfloat, fromHalf, type GgmlType } from './ggml-blocks.ts';

/** A packed matrix, and what it was packed from. */
export interface PackedSource extends PackedTiles {
  readonly type: GgmlType;
  /** Before padding. */
  readonly columns: number;
  readonly packing: Packing;
}

/** A weight is `q * scale + min`; a float is `q`. */
export interface PackedWeight {
  readonly q: number;
  readonly scale: number;
  readonly min: number;
}

const LANES = 16;

/** The weight of a row and a column, as the kernels read it. */
export function packedWeight(source: PackedSource, row: number, k: number): PackedWeight {
  const format = packedFormatOf(source.type) ?? 'int8';
  if (isFloatFormat(format)) {
    const bits = floatBits(source, row, k);
    return { q: format === 'f32' ? f32(bits) : (format === 'f16' ? fromHalf : fromBfloat)(bits), scale: 1, min: 0 };
  }
  const [word, lane] = wordAt(source, row, k);
  const [tile, , component] = placeOf(row);
  const groups = source.columns / 32;
  const scale = source.scales[((tile * groups + Math.floor(k / 32)) * LANES + lane) * 4 + component] ?? NaN;
  const parts = format === 'int8' ? { scale: f32(scale), min: 0 } : { scale: fromHalf(scale & 0xffff), min: fromHalf(scale >>> 16) };
  if (source.packing === 'bytes') {
    const byte = (word >>> (8 * (k % 4))) & 255;
    return { q: format === 'int8' ? (byte << 24) >> 24 : k % 8 < 4 ? byte & 15 : byte >> 4, ...parts };
  }
  const place = (k % weightsPerWord(format)) ^ (lane % 4); // each lane's own order within 4 neighbours
  if (format === 'int8') return { q: ((word ^ 0x00808080) << (24 - 8 * place)) >> 24, ...parts };
  return { q: ((word ^ 0x80000000) >>> (4 * place)) & 15, ...parts };
}

/** The value of a weight. Its arithmetic is exact. */
export function packedValue(source: PackedSource, row: number, k: number): number {
  const { q, scale, min } = packedWeight(source, row, k);
  return q * scale + min;
}

/** The bits of a float of the packed layout. */
export function floatBits(source: PackedSource, row: number, k: number): number {
  const [, lane] = placeOf(row);
  const place = k - (k % 4) + ((k % 4) ^ (lane % 4));
  const [word] = wordAt(source, row, place);
  return source.type === 'F32' ? word : (word >>> (16 * (place % 2))) & 0xffff;
}

function wordAt({ type, columns, weights }: PackedSource, row: number, k: number): [word: number, lane: number] {
  const wordK = weightsPerWord(packedFormatOf(type) ?? 'int8');
  const [tile, lane, component] = placeOf(row);
  return [weights[((tile * (paddedSize(columns) / wordK) + Math.floor(k / wordK)) * LANES + lane) * 4 + component] ?? NaN, lane];
}

function placeOf(row: number): [tile: number, lane: number, component: number] {
  return [Math.floor(row / 64), Math.floor((row % 64) / 4), row % 4];
}

function f32(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0] ?? NaN;
}
