import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { rmsNorm } from '../../../src/kernels/rms-norm.ts';
import { firstDifference, firstWritten, firstWrong, KernelLab } from '../../support/kernel-lab.ts';
import { rmsNormReference } from '../../support/kernel-references.ts';
import { createRandom } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

const ROWS = 17;
const SAMPLE_WORDS = 16;

/** 576 is SmolLM2-135M's; 16 lanes share a row on a software adapter, 64 on a GPU. */
const SIZES = [1, 31, 64, 97, 576, 1536];
test.each(SIZES.flatMap((size) => [[size, 16] as const, [size, 64] as const]))('rows of %i, %i lanes', async (size, lanes) => {
  const random = createRandom(size);
  // Every row at a size of its own, from 1e-4 (where epsilon counts) to 1e3.
  const x = new Float32Array(ROWS * size).map((_, i) => random.normal() * 10 ** ((Math.floor(i / size) % 8) - 4));
  const weight = new Float32Array(size).map(() => random.normal());
  // A row may be sampled twice, and rows in any order.
  const sampled = [16, 3, 3, 0, 11];
  const y = lab.output(ROWS * size);
  const xs = lab.input(x);
  const args = { size, epsilon: 1e-5, lanes, x: xs, weight: lab.input(weight), y: y.buffer };
  const samples = lab.input(new Uint32Array(sampled.flatMap((row) => [row, ...Array(SAMPLE_WORDS - 1).fill(77)])));
  const every = rmsNorm(lab.builder, { ...args, samples, gather: false });
  const gathered = rmsNorm(lab.builder, { ...args, samples, gather: true });
  const rowOf = (row: number): Float32Array => x.subarray(row * size, (row + 1) * size);

  const [all] = await lab.run([every], { tokens: ROWS, samples: 2 }, [y]);
  const expected = Array.from({ length: ROWS }, (_, row) => rmsNormReference(rowOf(row), weight, 1e-5));
  expect(firstWrong(all!.floats, expected.flat())).toBeUndefined();

  const [some] = await lab.run([gathered], { tokens: ROWS, samples: sampled.length }, [y]);
  const bits = sampled.flatMap((row) => [...all!.bits.subarray(row * size, (row + 1) * size)]);
  expect([...some!.bits.subarray(0, sampled.length * size)], 'the same bits, in the order of the samples').toEqual(bits);
  expect(firstWritten(some!, sampled.length * size)).toBeUndefined();

  lab.write(xs, rowOf(0).slice());
  const [alone] = await lab.run([every], { tokens: 1 }, [y]);
  expect(firstDifference(alone!, all!, size), 'a row alone has the same bits').toBeUndefined();
  expect(firstWritten(alone!, size)).toBeUndefined();
});

test('a row of zeros stays zeros', async () => {
  const y = lab.output(32);
  const zeros = lab.input(new Float32Array(32));
  const weight = lab.input(new Float32Array(32).fill(1));
  const args = { size: 32, epsilon: 1e-5, lanes: 16, gather: false };
  const op = rmsNorm(lab.builder, { ...args, x: zeros, weight, samples: zeros, y: y.buffer });
  const [result] = await lab.run([op], { tokens: 1 }, [y]);
  expect([...result!.floats]).toEqual(Array(32).fill(0));
});
