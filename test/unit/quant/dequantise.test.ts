import { describe, expect, test } from 'vitest';
import { dequantise } from '../../../src/quant/dequantise.ts';
import { type Packing, repackRows, SUPPORTED_TYPES } from '../../../src/quant/repack.ts';
import goldens from '../../goldens/dequantised-blocks.json';
import { BLOCK, BLOCK_BYTES, byteLength, dequantise as reference, type GgmlType, isFloat, toHalf } from '../../support/ggml-blocks.ts';
import { randomMatrix } from '../../support/kernel-matrix.ts';
import { packedValue, packedWeight } from '../../support/packed-weights.ts';
import { createRandom } from '../../support/random.ts';

// A type that the loader accepts is tested here, or there is an error of the type or of the golden that is missing.
const TYPES = SUPPORTED_TYPES as readonly GgmlType[];

function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

/** Zeros, ones, the least and the greatest subnormal, the least normal, one, the greatest, of either sign. */
const HALVES = [0, 2 ** -24, 2 ** -14 - 2 ** -24, 2 ** -14, 1, 65504].flatMap((value) => [toHalf(value), toHalf(value) | 0x8000]);

/** A block of each pair of scale and min, with quants of all zeros, all ones and at random. */
function edgeBlocks(type: GgmlType): Uint8Array[] {
  const random = createRandom(7);
  return HALVES.flatMap((scale, i) =>
    [() => 0, () => 255, () => random.below(256)].map((byte) => {
      const block = Uint8Array.from({ length: BLOCK_BYTES[type] }, byte);
      if (isFloat(type)) return block;
      const view = new DataView(block.buffer);
      view.setUint16(0, scale, true);
      if (type === 'Q4_1') view.setUint16(2, HALVES[(5 * i + 3) % HALVES.length] ?? 0, true);
      return block;
    }),
  );
}

/** The indices of numbers that differ. No number is equal to none; 0 is equal to -0. */
function differences(a: ArrayLike<number>, b: ArrayLike<number>): number[] {
  if (a.length !== b.length) return [-1];
  return Array.from(a, (_, i) => i).filter((i) => a[i] !== b[i] && !(Number.isNaN(a[i]) && Number.isNaN(b[i])));
}

test('every type that matrices may have is dequantised; others are refused by name', () => {
  expect(TYPES.map((type) => dequantise(type, new Uint8Array(BLOCK_BYTES[type])).values.length)).toEqual(TYPES.map(() => BLOCK));
  expect(() => dequantise('Q6_K', new Uint8Array(210))).toThrow(/Q6_K/);
});

describe.each(TYPES)('%s', (type) => {
  test('are ggml’s own numbers, to the bit', () => {
    const { blocks, values } = goldens[type];
    const found = dequantise(type, fromHex(blocks)).values;
    expect([...new Uint32Array(found.buffer)]).toEqual([...new Uint32Array(fromHex(values).buffer)]);
  });

  test('are those of a second reading: random blocks, edges, at odd offsets', () => {
    const { bytes } = randomMatrix(type, 64, 128, createRandom(5));
    const odd = new Uint8Array(bytes.length + 1);
    odd.set(bytes, 1);
    expect(differences(dequantise(type, odd.subarray(1)).values, reference(type, bytes, 64 * 128))).toEqual([]);
    for (const block of edgeBlocks(type)) {
      expect(differences(dequantise(type, block).values, reference(type, block, BLOCK))).toEqual([]);
    }
  });

  const packings: readonly Packing[] = isFloat(type) ? ['quads'] : ['quads', 'bytes'];
  test.each(packings)('are those that the kernels read in packed rows, in %s', (packing) => {
    const [rows, columns] = [67, 160];
    const { bytes } = randomMatrix(type, rows, columns, createRandom(6));
    const packed = { type, columns, packing, ...repackRows(type, bytes, rows, columns, packing) };
    const rowBytes = byteLength(type, columns);
    for (let row = 0; row < rows; row++) {
      const { values, magnitudes } = dequantise(type, bytes.subarray(row * rowBytes, (row + 1) * rowBytes));
      const weights = Array.from(values, (_, k) => packedWeight(packed, row, k));
      expect(differences(values, weights.map(({ q, scale, min }) => Math.fround(q * scale + min)))).toEqual([]);
      const parts = weights.map(({ q, scale, min }) => Math.abs(q * scale) + Math.abs(min));
      const isNear = (magnitude: number, k: number): boolean => Math.abs((magnitudes[k] ?? NaN) - magnitude) <= 2 ** -24 * magnitude;
      expect(parts.every(isNear)).toBe(true);
    }
  });

  test('are those of packed edges, where a scale can be packed', () => {
    const packable = edgeBlocks(type).filter((block) => type !== 'Q4_0' || Math.abs(reference('F16', block, 1)[0] ?? NaN) < 8192);
    expect(packable.length).toBeGreaterThan(20);
    for (const block of packable) {
      const packed = { type, columns: BLOCK, packing: 'quads', ...repackRows(type, block, 1, BLOCK) } as const;
      const found = Array.from({ length: BLOCK }, (_, k) => Math.fround(packedValue(packed, 0, k)));
      expect(differences(dequantise(type, block).values, found)).toEqual([]);
    }
  });
});
