import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { siluMul } from '../../../src/kernels/silu-mul.ts';
import { exactly, firstDifference, firstWritten, firstWrong, KernelLab } from '../../support/kernel-lab.ts';
import { siluMulReference } from '../../support/kernel-references.ts';
import { createRandom } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

const ROWS = 17;

/** 1536 is SmolLM2-135M's; a multiple of 4, 256 elements a workgroup. */
test.each([4, 68, 256, 260, 1536])('rows of %i', async (size) => {
  const random = createRandom(size);
  const gateUp = new Float32Array(ROWS * 2 * size).map(() => random.normal() * 4);
  const y = lab.output(ROWS * size);
  const input = lab.input(gateUp);
  const op = siluMul(lab.builder, { size, gateUp: input, y: y.buffer, counts: lab.rowCount });
  const [all] = await lab.run([op], { tokens: ROWS }, [y]);
  const expected = Array.from({ length: ROWS }, (_, row) => {
    const gate = gateUp.subarray(row * 2 * size, (row * 2 + 1) * size);
    const up = gateUp.subarray((row * 2 + 1) * size, (row + 1) * 2 * size);
    return siluMulReference(exactly(gate), exactly(up));
  });
  expect(firstWrong(all!.floats, expected.flat())).toBeUndefined();

  lab.write(input, gateUp.map((value, i) => (i < 2 * size ? value : NaN)));
  const [alone] = await lab.run([op], { tokens: 1 }, [y]);
  expect(firstDifference(alone!, all!, size), 'a row alone has the same bits').toBeUndefined();
  expect(firstWritten(alone!, size)).toBeUndefined();
});

test('saturates: -> 0 from below, -> the gate from above, never NaN', async () => {
  const gate = new Float32Array([0, -0, -80, -88, -89, -104, -1e4, -1e30, 80, 88, 89, 104, 1e4, 1e30, 1e-30, -1e-30]);
  const up = new Float32Array(gate.length).fill(-3);
  const y = lab.output(gate.length);
  const gateUp = lab.input(new Float32Array([...gate, ...up]));
  const op = siluMul(lab.builder, { size: gate.length, gateUp, y: y.buffer, counts: lab.rowCount });
  const [result] = await lab.run([op], { tokens: 1 }, [y]);
  expect(firstWrong(result!.floats, siluMulReference(exactly(gate), exactly(up)))).toBeUndefined();
});
