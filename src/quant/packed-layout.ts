/** Lanes of a packed tile. A lane holds 4 neighbouring rows, so a tile has 64. Kernels get this number as a parameter. */
export const TILE_LANES = 16;
/** Rows of a packed tile. */
export const TILE_ROWS = 4 * TILE_LANES;
/** Neighbouring k that are summed together and share a scale. */
export const GROUP_SIZE = 32;

/** Weights that are not quantised. */
export type FloatFormat = 'f16' | 'bf16' | 'f32';

/** The packed weights: q * scale + min with q in 0..15, q * scale with q in -128..127, or floats. */
export type PackedFormat = 'int4' | 'int8' | FloatFormat;

const BITS: Readonly<Record<PackedFormat, number>> = { int4: 4, int8: 8, f16: 16, bf16: 16, f32: 32 };

/** Whether the format is a float, which has no scales. */
export function isFloatFormat(format: PackedFormat): format is FloatFormat {
  return format !== 'int4' && format !== 'int8';
}

/** Neighbouring k of a row in one 32-bit word. */
export function weightsPerWord(format: PackedFormat): number {
  return 32 / BITS[format];
}

/** `size` elements, rounded up to a whole number of groups. The padding is zero. */
export function paddedSize(size: number): number {
  return Math.ceil(size / GROUP_SIZE) * GROUP_SIZE;
}

/** Words (u32) of the packed weights of a whole number of tiles. */
export function packedWords(format: PackedFormat, rows: number, columns: number): number {
  return (Math.ceil(rows / TILE_ROWS) * TILE_ROWS * paddedSize(columns)) / weightsPerWord(format);
}

/** Words (u32) of their scales: one for each group of k. */
export function scaleWords(format: PackedFormat, rows: number, columns: number): number {
  if (isFloatFormat(format)) return 0;
  return (Math.ceil(rows / TILE_ROWS) * TILE_ROWS * paddedSize(columns)) / GROUP_SIZE;
}
