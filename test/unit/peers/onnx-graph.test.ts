import { describe, expect, test } from 'vitest';
import { inHalves, quantiseFor } from '../../peers/onnx-graph.mjs';
import * as blocks from '../../support/ggml-blocks.ts';
import { createRandom } from '../../support/random.ts';

const random = createRandom(3);
const VALUES = Float32Array.from({ length: 96 }, () => random.uniform() * 6 - 3);

/** As MatMulNBits' documentation has it, with its default zero points. */
function numbersOf(bits: 4 | 8, quants: Uint8Array, scales: Float32Array): number[] {
  return Array.from({ length: VALUES.length }, (_, i) => {
    const byte = quants[bits === 4 ? i >> 1 : i] ?? NaN;
    const q = bits === 8 ? byte - 128 : (i % 2 === 0 ? byte & 15 : byte >> 4) - 8;
    return q * (scales[Math.floor(i / 32)] ?? NaN);
  });
}

describe('MatMulNBits blocks hold the numbers of the ggml blocks', () => {
  test.each([[4, 'Q4_0'], [8, 'Q8_0']] as const)('%d bits', (bits, type) => {
    const { quants, scales } = quantiseFor(blocks, bits, VALUES);
    expect(quants.length).toBe((96 * bits) / 8);
    const expected = blocks.dequantise(type, blocks.quantise(type, VALUES), VALUES.length);
    expect(Float32Array.from(numbersOf(bits, quants, scales))).toEqual(expected);
  });
});

test('rows of RoPE pairs side by side become the firsts, then the seconds, head by head', () => {
  // Two heads of six rows of two columns.
  const rows = Float32Array.from({ length: 24 }, (_, i) => i);
  const ordered = inHalves(rows, 12, 2, 2);
  const firsts = Array.from({ length: 12 }, (_, row) => (ordered[2 * row] ?? NaN) / 2);
  expect(firsts).toEqual([0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
  expect(ordered[3]).toBe(5);
});
