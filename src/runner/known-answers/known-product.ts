import type { Numerics } from '../../core/numerics.ts';
import { squaresVectors } from '../../kernels/matmul.ts';
import type { ReferenceMatrix, ReferenceRow } from '../../models/reference-rows.ts';
import { dequantise, type DequantisedWeights } from '../../quant/dequantise.ts';
import { expectedOutput } from '../../quant/expected-outputs.ts';
import { GROUP_SIZE } from '../../quant/packed-layout.ts';
import { flushErrors } from '../../quant/subnormal-halves.ts';
import { ROWS, Sequence } from './known-answer.ts';
import { exact, type Expected, inverseRmsReference, productReference } from './references.ts';

/**
 * The numbers of x in each class of numerics: integers up to `steps`, times `unit`. The first of a group is the largest. So
 * what quantise makes of them is exact: of 127 steps of a group's scale in dp4a. In f16 the fractions are -1, 0 and 1, and sums
 * of a group's products stay below 2048, up to which a half holds every integer.
 *
 * `slack` multiplies the bound on the error of an output: outside f32 weights and their min are split in another way.
 */
const ACTIVATIONS: Readonly<Record<Numerics, { readonly steps: number; readonly unit: number; readonly slack: number }>> = {
  f32: { steps: 127, unit: 2 ** -6, slack: 1 },
  dp4a: { steps: 127, unit: 2 ** -6, slack: 4 },
  f16: { steps: 1, unit: 1, slack: 4 },
};

/** RMSNorm of x. */
export interface KnownNorm {
  readonly size: number;
  readonly epsilon: number;
}

/** Inputs of a product with a matrix of the model, and its outputs, by rows that were kept. */
export class KnownProduct {
  /** `[ROWS][columns]`, 0 where columns are padding. */
  readonly x: Float32Array<ArrayBuffer>;
  /** The sums of squares that the norm reads. They are not those of x, so that each row has a divisor of its own. */
  readonly squares: Float32Array<ArrayBuffer>;
  readonly #norms: readonly Expected[];
  readonly #slack: number;
  readonly #rows: ReadonlyMap<number, ReferenceRow>;
  readonly #weights = new Map<number, KnownWeights>();
  readonly #outputs = new Map<number, Expected>();
  readonly #columns: number;

  /** @param notNumbers rows of x that are NaN */
  constructor({ matrix, rows }: ReferenceMatrix, norm?: KnownNorm, notNumbers: readonly number[] = []) {
    const { columns, numerics } = matrix;
    const { steps, unit, slack } = ACTIVATIONS[numerics];
    const sequence = new Sequence(columns + matrix.rows);
    const inFile = this.#weightsOf(rows[0])?.values.length ?? columns;
    this.x = new Float32Array(ROWS * columns);
    for (let row = 0; row < ROWS; row++) {
      for (let k = 0; k < inFile; k++) {
        const step = k % GROUP_SIZE === 0 ? steps * (1 - 2 * sequence.below(2)) : sequence.below(2 * steps + 1) - steps;
        this.x[row * columns + k] = notNumbers.includes(row) ? NaN : step * unit;
      }
    }
    this.#columns = columns;
    this.#slack = slack;
    this.#rows = new Map(rows.map((row) => [row.row, row]));
    const { squares, norms } = knownNorms(columns, sequence, norm);
    this.squares = squares;
    this.#norms = norms;
  }

  /** The matrix's rows that are known, ascending. */
  get rows(): readonly number[] {
    return [...this.#rows.keys()];
  }

  /** An output of a row of x; undefined where the matrix's row is not known, or the file's weights are no finite numbers. */
  output(row: number, rowOfX: number): Expected | undefined {
    const at = row * ROWS + rowOfX;
    const known = this.#outputs.get(at);
    const reference = this.#rows.get(row);
    const weights = this.#weightsOf(reference);
    if (known !== undefined || reference === undefined || weights === undefined) return known;
    const x = this.x.subarray(rowOfX * this.#columns, (rowOfX + 1) * this.#columns);
    const { value, error } = expectedOutput(weights, x);
    if (!Number.isFinite(value)) return undefined;
    const flushed = weights.flushed?.reduce((sum, each, k) => sum + each * Math.abs(x[k] ?? NaN), 0) ?? 0;
    const product = { value, error: this.#slack * error + flushed };
    const norm = this.#norms[rowOfX];
    const output = norm === undefined ? product : productReference(product, norm);
    this.#outputs.set(at, output);
    return output;
  }

  #weightsOf(row: ReferenceRow | undefined): KnownWeights | undefined {
    if (row === undefined) return undefined;
    const weights = this.#weights.get(row.row) ?? knownWeights(row);
    this.#weights.set(row.row, weights);
    return weights;
  }
}

interface KnownWeights extends DequantisedWeights {
  readonly flushed: Float64Array | undefined;
}

function knownWeights(row: ReferenceRow): KnownWeights {
  const weights = dequantise(row.type, row.bytes);
  return { ...weights, flushed: flushErrors(row, weights) };
}

/** Sums of squares of every row of x: 32 elements each, of a mean from 0.5 to 4 that no two rows share. */
function knownNorms(columns: number, sequence: Sequence, norm: KnownNorm | undefined) {
  const stride = 4 * squaresVectors(columns);
  const squares = new Float32Array(ROWS * stride);
  if (norm === undefined) return { squares, norms: [] };
  const norms = Array.from({ length: ROWS }, (_, row) => {
    const sums = sequence.floats(Math.ceil(norm.size / GROUP_SIZE), 0.5).map((part) => GROUP_SIZE * (0.5 + row / 2) * (1 + part));
    squares.set(sums, row * stride);
    return inverseRmsReference(Array.from(sums, exact), norm.size, norm.epsilon);
  });
  return { squares, norms };
}
