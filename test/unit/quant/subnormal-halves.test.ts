import { expect, test } from 'vitest';
import { dequantise } from '../../../src/quant/dequantise.ts';
import { flushErrors } from '../../../src/quant/subnormal-halves.ts';
import { byteLength, fromHalf, type GgmlType } from '../../support/ggml-blocks.ts';

const SUBNORMAL = 0x0123;
const NORMAL = 0x2e66; // 0.1

/** Two blocks, the halves of the first as given, those of the second normal; their quants are all 5. */
function row(type: GgmlType, halves: readonly number[]) {
  const bytes = new Uint8Array(byteLength(type, type === 'F16' ? 2 : 64)).fill(type === 'F16' ? 0 : 0x55);
  const view = new DataView(bytes.buffer);
  for (const [i, bits] of halves.entries()) {
    view.setUint16(2 * i, bits, true);
    view.setUint16(bytes.length / 2 + 2 * i, NORMAL, true);
  }
  return { type, bytes };
}

const errorsOf = (type: GgmlType, halves: readonly number[]) => {
  const given = row(type, halves);
  return flushErrors(given, dequantise(given.type, given.bytes));
};

test.each<[GgmlType, readonly number[], number]>([
  ['Q4_0', [SUBNORMAL], 13 * fromHalf(SUBNORMAL)], // 5 steps, and the 8 that are taken off
  ['Q4_1', [SUBNORMAL, NORMAL], 5 * fromHalf(SUBNORMAL) + fromHalf(NORMAL)],
  ['Q4_1', [NORMAL, SUBNORMAL], 5 * fromHalf(NORMAL) + fromHalf(SUBNORMAL)],
  ['F16', [SUBNORMAL], fromHalf(SUBNORMAL)],
])('%s: weights of the block with a subnormal half, and no others', (type, halves, error) => {
  const errors = Array.from(errorsOf(type, halves) ?? []);
  expect(errors.slice(0, errors.length / 2).every((each) => Math.abs(each - error) < 1e-6)).toBe(true);
  expect(errors.slice(errors.length / 2).every((each) => each === 0)).toBe(true);
  expect(errors.length).toBe(type === 'F16' ? 2 : 64);
});

test('normal halves, zeros, and types whose halves kernels do not convert', () => {
  for (const halves of [[NORMAL, NORMAL], [0, 0x8000]]) expect(errorsOf('Q4_1', halves)).toBeUndefined();
  for (const type of ['Q8_0', 'BF16', 'F32'] as const) expect(errorsOf(type, [SUBNORMAL])).toBeUndefined();
});
