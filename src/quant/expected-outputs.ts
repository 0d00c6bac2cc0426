import { dequantise, type DequantisedWeights } from './dequantise.ts';
import { GROUP_SIZE } from './packed-layout.ts';

/** A row of weights in the blocks of its GGUF type. */
export interface WeightRow {
  /** One of `SUPPORTED_TYPES`. */
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** An output of a product, and the most by which a kernel's f32 output may differ from it. */
export interface ExpectedOutput {
  readonly value: number;
  readonly error: number;
}

/** The relative error of one f32 operation. */
const UNIT = 2 ** -24;
/**
 * The most operations on a term within its group of 32 k: a weight's rounding to f32, a product, 32 additions, scale and
 * min, the scale of quantised activations, and two for the squares of all these errors.
 */
const GROUP_OPERATIONS = 40;

/** The outputs of y = x · Wᵀ for some rows of W. See {@link expectedOutput}. */
export function expectedOutputs(rows: readonly WeightRow[], x: ArrayLike<number>): ExpectedOutput[] {
  return rows.map(({ type, bytes }) => expectedOutput(dequantise(type, bytes), x));
}

/**
 * The sum over k of w[k] * x[k], in f64. The error bounds every kernel that adds each group of 32 k on its own, in any order,
 * and then the groups, in any order. A term goes through at most 40 operations in its group, each of which is off by 2^-24 of
 * its result at most, so a group's sum is off by 40 * 2^-24 of its terms' magnitudes. G sums of groups go through at most G
 * additions: these add G * 2^-24 of the sums' own magnitudes.
 *
 * It holds for products in f32. Where x has the numbers that quantised activations stand for, it holds for dp4a too.
 * Products in f16 are less exact.
 *
 * @param x at least as many elements as there are weights; 2^-28 times any of them is 0 or a normal f32
 */
export function expectedOutput({ values, magnitudes }: DequantisedWeights, x: ArrayLike<number>): ExpectedOutput {
  const groups = Math.ceil(values.length / GROUP_SIZE);
  let value = 0;
  let ofGroups = 0; // the error of the groups' sums
  let magnitudeOfGroups = 0;
  for (let group = 0; group < groups; group++) {
    let sum = 0;
    let magnitude = 0;
    for (let k = group * GROUP_SIZE; k < Math.min((group + 1) * GROUP_SIZE, values.length); k++) {
      const factor = x[k] ?? NaN;
      sum += (values[k] ?? NaN) * factor;
      magnitude += (magnitudes[k] ?? NaN) * Math.abs(factor);
    }
    const error = GROUP_OPERATIONS * UNIT * magnitude;
    value += sum;
    ofGroups += error;
    magnitudeOfGroups += Math.abs(sum) + error;
  }
  return { value, error: ofGroups + groups * UNIT * magnitudeOfGroups };
}
