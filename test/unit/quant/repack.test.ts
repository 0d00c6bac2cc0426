import { describe, expect, test } from 'vitest';
import { packedWords, scaleWords } from '../../../src/quant/packed-layout.ts';
import { widenFloats } from '../../../src/quant/repack-floats.ts';
import { packedFormatOf, repackRows, sourceRowBytes, widenScales } from '../../../src/quant/repack.ts';
import { BLOCK_BYTES, dequantise, fromHalf, quantise, toHalf } from '../../support/ggml-blocks.ts';
import { type MatrixType, randomMatrix, weightsOfRow } from '../../support/kernel-matrix.ts';
import { floatBits, packedValue } from '../../support/packed-weights.ts';
import { createRandom } from '../../support/random.ts';

const float = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0] ?? NaN;

/** The last is SmolLM2-135M's q, k and v. */
const SHAPES: readonly (readonly [number, number])[] = [[1, 32], [4, 64], [63, 32], [64, 96], [67, 160], [129, 32], [960, 576]];

const TYPES = ['Q4_0', 'Q4_1', 'Q8_0'] as const;
const KINDS = TYPES.flatMap((type) => (['quads', 'bytes'] as const).map((packing) => ({ type, packing })));

describe.each(KINDS)('$type in $packing', ({ type, packing }) => {
  test.each(SHAPES)('%i x %i: every weight is found again, exactly; rows that are not there are 0', (rows, columns) => {
    const matrix = randomMatrix(type, rows, columns, createRandom(rows + columns));
    const packed = { type, columns, packing, ...repackRows(type, matrix.bytes, rows, columns, packing) };
    expect(packed.weights.length).toBe(packedWords(packedFormatOf(type) ?? 'int8', rows, columns));
    expect(packed.scales.length).toBe(scaleWords(packedFormatOf(type) ?? 'int8', rows, columns));
    let wrong = 0;
    for (let row = 0; row < rows; row++) {
      const { values } = weightsOfRow(matrix, row);
      for (const [k, value] of values.entries()) if (Math.fround(packedValue(packed, row, k)) !== value) wrong++;
    }
    for (let row = rows; row < Math.ceil(rows / 64) * 64; row++) {
      for (let k = 0; k < columns; k++) if (packedValue(packed, row, k) !== 0) wrong++;
    }
    expect(wrong).toBe(0);
  });

  test('tiles repack on their own: bytes anywhere in a larger buffer, odd offsets included', () => {
    const matrix = randomMatrix(type, 128, 64, createRandom(4));
    const whole = repackRows(type, matrix.bytes, 128, 64, packing);
    const shifted = new Uint8Array(matrix.bytes.length + 3);
    shifted.set(matrix.bytes, 3);
    const second = repackRows(type, shifted.subarray(3 + 64 * sourceRowBytes(type, 64)), 64, 64, packing);
    expect([...second.weights]).toEqual([...whole.weights.subarray(whole.weights.length / 2)]);
    expect([...second.scales]).toEqual([...whole.scales.subarray(whole.scales.length / 2)]);
  });
});

describe.each(['F16', 'BF16', 'F32'] as const)('%s', (type) => {
  test.each([...SHAPES, [68, 172] as const, [8, 4] as const, [5, 1] as const, [7, 90] as const, [65, 173] as const, [3, 31] as const])('%i x %i: every bit is found again; what is not there is 0', (rows, columns) => {
    const random = createRandom(rows + columns);
    const size = type === 'F32' ? 4 : 2;
    const bytes = new Uint8Array(rows * columns * size + 3).map(() => random.below(256)); // infinities and no numbers too
    const { weights, scales } = repackRows(type, bytes.subarray(3), rows, columns);
    const packed = { type, columns, packing: 'quads', weights, scales } as const;
    const padded = Math.ceil(columns / 32) * 32;
    expect(weights.length).toBe(packedWords(packedFormatOf(type) ?? 'int8', rows, columns));
    expect(scales.length).toBe(0);
    const view = new DataView(bytes.buffer, 3);
    let wrong = 0;
    for (let row = 0; row < Math.ceil(rows / 64) * 64; row++) {
      for (let k = 0; k < padded; k++) {
        const at = (row * columns + k) * size;
        const isThere = row < rows && k < columns;
        const expected = !isThere ? 0 : size === 4 ? view.getUint32(at, true) : view.getUint16(at, true);
        if (floatBits(packed, row, k) !== expected) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });

  test('as a vector it is the same numbers in f32', () => {
    const random = createRandom(3);
    const values = new Float32Array(67).map(() => random.normal() * 10 ** (random.below(9) - 6));
    const bytes = quantise(type, values);
    const odd = new Uint8Array(bytes.length + 1);
    odd.set(bytes, 1);
    expect(widenFloats(packedFormatOf(type) as 'f16', odd.subarray(1))).toEqual(dequantise(type, bytes, 67));
  });
});

describe.each(['Q4_1', 'Q8_0', 'BF16'] as const)('%s', (type) => {
  test('rows may change places', () => {
    const matrix = randomMatrix(type, 128, 64, createRandom(8));
    const place = (row: number): number => (row % 2 === 0 ? row / 2 : 64 + (row - 1) / 2);
    const rowBytes = matrix.bytes.length / 128;
    const moved = new Uint8Array(matrix.bytes.length);
    for (let row = 0; row < 128; row++) moved.set(matrix.bytes.subarray(row * rowBytes, (row + 1) * rowBytes), place(row) * rowBytes);
    expect(repackRows(type, matrix.bytes, 128, 64, 'quads', place)).toEqual(repackRows(type, moved, 128, 64));
  });
});

/** A row of one block with this scale. */
function scaleOf(type: MatrixType, half: number): number {
  const bytes = new Uint8Array(BLOCK_BYTES[type]);
  new DataView(bytes.buffer).setUint16(0, half, true);
  return repackRows(type, bytes, 1, 32).scales[0] ?? NaN;
}

const HALVES = Array.from({ length: 65536 }, (_, half) => half);

test('Q4_0: the min is exactly -8 times the scale, for every f16, or an error', () => {
  const wrong = HALVES.filter((half) => {
    const value = fromHalf(half);
    if (Math.abs(value) >= 8192 || Number.isNaN(value)) return false;
    const packed = scaleOf('Q4_0', half);
    return (packed & 0xffff) !== half || !Object.is(fromHalf(packed >>> 16), -8 * value);
  });
  expect(wrong).toEqual([]);
  for (const value of [8192, -8192, 65504, Infinity, NaN]) {
    expect(() => scaleOf('Q4_0', toHalf(value))).toThrow(expect.objectContaining({ code: 'unsupported_tensor' }));
  }
});

test('Q8_0: the scale is the same number as f32, for every f16', () => {
  expect(HALVES.filter((half) => !Object.is(float(scaleOf('Q8_0', half)), fromHalf(half)))).toEqual([]);
});

test('wide scales are the same numbers, a lane’s 4 scales before its 4 mins', () => {
  const random = createRandom(9);
  const halves = Uint32Array.from({ length: 64 }, () => random.uint32() & 0xbfffbfff); // no infinities
  const wide = widenScales(halves);
  expect(wide.length).toBe(128);
  for (const [i, word] of halves.entries()) {
    const at = Math.floor(i / 4) * 8 + (i % 4);
    expect([wide[at], wide[at + 4]]).toEqual([fromHalf(word & 0xffff), fromHalf(word >>> 16)]);
  }
});

test('a type that no kernel reads is refused by name', () => {
  expect(packedFormatOf('Q6_K')).toBeUndefined();
  expect(() => repackRows('Q6_K', new Uint8Array(210), 1, 256)).toThrow(/Q6_K.*Q4_0, Q4_1, Q8_0, F16, BF16, F32/);
  expect(() => sourceRowBytes('Q5_0', 32)).toThrow(expect.objectContaining({ code: 'unsupported_tensor' }));
});
