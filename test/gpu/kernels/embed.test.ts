import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Numerics } from '../../../src/core/numerics.ts';
import { embed } from '../../../src/kernels/embed.ts';
import { FROM_SLOT } from '../../../src/kernels/step-inputs.ts';
import { firstWritten, firstWrong, KernelLab } from '../../support/kernel-lab.ts';
import { type MatrixType, packMatrix, randomMatrix, rowsFrom, weightsOfRow } from '../../support/kernel-matrix.ts';
import { squaresReference } from '../../support/kernel-references.ts';
import { createRandom } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

/** The last is SmolLM2-135M's. */
const TABLES: readonly (readonly [MatrixType, number, number, boolean, Numerics])[] = [
  ['Q4_0', 4, 32, false, 'f32'],
  ['Q4_1', 148, 96, false, 'f32'],
  ['Q4_1', 148, 96, true, 'f32'],
  ['Q4_1', 148, 96, true, 'dp4a'],
  ['Q4_0', 68, 64, false, 'f16'],
  ['Q8_0', 260, 160, false, 'dp4a'],
  ['Q8_0', 260, 160, false, 'f32'],
  ['F16', 68, 96, false, 'f32'],
  ['BF16', 132, 160, false, 'f32'],
  ['F32', 8, 64, false, 'f32'],
  ['Q8_0', 49152, 576, false, 'f32'],
];

test.each(TABLES)('%s table of %i x %i, wide scales %s, packed for %s, to the bit', async (type, rows, columns, wideScales, numerics) => {
  const random = createRandom(rows);
  const table = randomMatrix(type, rows, columns, random);
  const ids = [0, rows - 1, ...Array.from({ length: 13 }, () => random.below(rows)), rows - 1];
  const lastTokens = [rows - 2, 1, rows - 4, 2];
  // What a slot drew last is fed back without being read: rows 3 and 9 take it from slots 2 and 1.
  const fields = ids.map((id, row) => (row === 3 ? FROM_SLOT + 2 : row === 9 ? FROM_SLOT + 1 : id));
  const tokens = ids.map((id, row) => (row === 3 ? rows - 4 : row === 9 ? 1 : id));
  const gain = new Float32Array(columns).map(() => random.normal());
  const sums = 4 * Math.ceil(columns / 128);
  const y = lab.output(ids.length * columns);
  const weighted = lab.output(ids.length * columns);
  const squares = lab.output(ids.length * sums);
  const shared = {
    rows: lab.input(new Uint32Array(fields.flatMap((field) => [field, 9999, 9999, 9999]))),
    lastTokens: lab.input(new Uint32Array(lastTokens)),
    gain: lab.input(gain),
    hidden: y.buffer,
    weighted: weighted.buffer,
    squares: squares.buffer,
    counts: lab.rowCount,
  };
  // In one table; or in two, as where a GPU binds no more.
  const parts = rows === 148 ? [[0, 64], [64, rows]] as const : [[0, rows]] as const;
  const ops = parts.map(([firstToken, end]) => {
    const part = packMatrix(lab, rowsFrom(table, firstToken, end), { numerics, wideScales });
    return embed(lab.builder, { ...shared, table: part, firstToken, vocabSize: rows });
  });
  for (const count of [1, ids.length]) {
    const [result, times, sum] = await lab.run(ops, { tokens: count }, [y, weighted, squares]);
    for (const [row, token] of tokens.slice(0, count).entries()) {
      // A quant times a scale is exact in f32, so adding the min rounds once, as does this.
      const expected = Float32Array.from(weightsOfRow(table, token).values);
      const actual = result!.floats.subarray(row * columns, (row + 1) * columns);
      expect(actual.every((value, k) => value === expected[k]), `row ${row}, token ${token}`).toBe(true);
      const product = times!.floats.subarray(row * columns, (row + 1) * columns);
      expect(product.every((value, k) => value === Math.fround((expected[k] ?? NaN) * (gain[k] ?? NaN))), `row ${row}`).toBe(true);
      const own = Array.from({ length: columns / 32 }, (_, i) => squaresReference(expected.subarray(32 * i, 32 * i + 32)));
      expect(firstWrong(sum!.floats, own, row * sums)).toBeUndefined();
      expect(firstWritten(sum!, row * sums + columns / 32, (row + 1) * sums)).toBeUndefined();
    }
    for (const written of [result!, times!]) expect(firstWritten(written, count * columns)).toBeUndefined();
    expect(firstWritten(sum!, count * sums)).toBeUndefined();
  }
});
