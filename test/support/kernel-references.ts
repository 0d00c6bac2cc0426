/** The reference results that only tests need, in f64, beside those of the known-answer test. */
import { expectedOutput } from '../../src/quant/expected-outputs.ts';
import { squaresReference, sumReference } from '../../src/runner/known-answers/references.ts';
import type { Expected } from './kernel-lab.ts';
import type { RowWeights } from './kernel-matrix.ts';

export * from '../../src/runner/known-answers/references.ts';

/** Relative rounding error of one f32 operation. */
const U = 2 ** -24;

/** sum over k of w[k] * x[k], and then what was there before. */
export function matmulReference(weights: RowWeights, x: ArrayLike<number>, before?: number): Expected {
  const output = expectedOutput(weights, x);
  return before === undefined ? output : sumReference(output, before);
}

/** The same of an x that is itself rounded. */
export function matmulOfReference(weights: RowWeights, x: readonly Expected[]): Expected {
  const { value, error } = matmulReference(weights, Float64Array.from(x, (each) => each.value));
  return { value, error: error + x.reduce((sum, each, k) => sum + (weights.magnitudes[k] ?? NaN) * each.error, 0) };
}

/**
 * A product with quantised x: sum over groups of 32 k of scales[group] * sum over k of w[k] * values[k]. Of dp4a the inner sum
 * is exact but for what the weights' scale and min add; in f16 it is rounded 16 times, and so are its products.
 */
export function quantisedProductReference(
  numerics: 'dp4a' | 'f16',
  weights: RowWeights,
  values: Float64Array,
  scales: Float64Array,
): Expected {
  let value = 0;
  let magnitude = 0;
  for (const [k, at] of values.entries()) {
    const scale = scales[Math.floor(k / 32)] ?? NaN;
    value += (weights.values[k] ?? NaN) * at * scale;
    magnitude += (weights.magnitudes[k] ?? NaN) * Math.abs(at) * scale;
  }
  // The sum of x, scale and min with it, x's scale, the groups in however many slices.
  const operations = (numerics === 'dp4a' ? 1 : 32) + 6 + values.length / 32;
  const half = numerics === 'dp4a' ? 0 : 2 * (1 + 16) * 2 ** -11 * magnitude;
  return { value, error: operations * U * magnitude + half };
}

/** The sums of squares of every 32 neighbours. */
export function chunkSquaresReference(x: readonly Expected[]): Expected[] {
  return Array.from({ length: Math.ceil(x.length / 32) }, (_, chunk) => {
    const own = x.slice(32 * chunk, 32 * chunk + 32);
    const { value, error } = squaresReference(own.map((each) => each.value));
    return { value, error: error + own.reduce((sum, each) => sum + 2 * Math.abs(each.value) * each.error + each.error ** 2, 0) };
  });
}

/** A vector in 8 bits: element i stands for steps[i] * scale. */
export interface QuantisedVector {
  readonly steps: Int8Array;
  /** An f32. */
  readonly scale: number;
}

/** The largest magnitude is 127 steps; the others are the nearest step, to even. Zeros have scale 0. */
export function quantiseReference(vector: Float32Array): QuantisedVector {
  const scale = Math.fround(Math.max(...vector.map(Math.abs)) / 127);
  const steps = Int8Array.from(vector, (v) => (scale === 0 ? 0 : roundToEven(v / scale)));
  return { steps, scale };
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const above = value - below;
  return above > 0.5 || (above === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

