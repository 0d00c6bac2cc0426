/**
 * The reference results of each kernel, in f64 and in the plainest form, with a bound on f32 rounding: U is half a unit
 * in the last place, and a sum of n terms in any order is within n * U of its terms' magnitudes. WGSL's own functions
 * are allowed more: exp(x) 3 + 2|x| ulp, division 2.5, sqrt and inverseSqrt 2 to 3.
 */
import { expectedOutput } from '../../src/quant/expected-outputs.ts';
import type { Expected } from './kernel-lab.ts';
import type { RowWeights } from './kernel-matrix.ts';

/** Relative rounding error of one f32 operation. */
const U = 2 ** -24;

/** a * b, rounded. */
export function productReference(a: Expected, b: Expected): Expected {
  const value = a.value * b.value;
  const inherited = Math.abs(a.value) * b.error + Math.abs(b.value) * a.error + a.error * b.error;
  return { value, error: inherited + U * Math.abs(value) };
}

/** a + b, rounded. */
export function sumReference(a: Expected, b: number): Expected {
  return { value: a.value + b, error: a.error + U * (Math.abs(a.value + b) + a.error) };
}

/** RMSNorm of one head's elements. */
export function headNormReference(head: Float32Array, gain: Float32Array, epsilon: number): Expected[] {
  const inverse = inverseRmsReference([squaresReference(head)], head.length, epsilon);
  return Array.from(head, (value, i) =>
    productReference(productReference({ value, error: 0 }, inverse), { value: gain[i] ?? NaN, error: 0 }),
  );
}

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

/** sum of x^2 */
export function squaresReference(x: ArrayLike<number>): Expected {
  const value = Array.from(x).reduce((sum, v) => sum + v * v, 0);
  return { value, error: (x.length + 1) * U * value };
}

/** 1 / sqrt(mean of x^2 + epsilon), of the sums of squares of `size` elements. */
export function inverseRmsReference(squares: readonly Expected[], size: number, epsilon: number): Expected {
  const mean = squares.reduce((sum, { value }) => sum + value, 0) / size + epsilon;
  const value = 1 / Math.sqrt(mean);
  // Their sum (none is negative), the division by the size, epsilon; a root halves all that. Then the root and a quotient.
  const before = squares.reduce((sum, { error }) => sum + error, 0) / size / mean + (squares.length + 5 + 1) * U;
  return { value, error: (before / 2 + (2 * 3 + 2 * 2.5) * U) * value };
}

/** The sums of squares of every 32 neighbours. */
export function chunkSquaresReference(x: readonly Expected[]): Expected[] {
  return Array.from({ length: Math.ceil(x.length / 32) }, (_, chunk) => {
    const own = x.slice(32 * chunk, 32 * chunk + 32);
    const { value, error } = squaresReference(own.map((each) => each.value));
    return { value, error: error + own.reduce((sum, each) => sum + 2 * Math.abs(each.value) * each.error + each.error ** 2, 0) };
  });
}

/** gate / (1 + exp(-gate)) * up */
export function siluMulReference(gate: readonly Expected[], up: readonly Expected[]): Expected[] {
  return gate.map(({ value: g, error }, i) => {
    const other = up[i] ?? { value: NaN, error: NaN };
    const silu = g / (1 + Math.exp(-g));
    const value = silu * other.value;
    const shareOfExp = 1 / (1 + Math.exp(g)); // of the denominator
    const operations = 2 * (3 + 2 * Math.abs(g)) * shareOfExp + 8;
    // Below -87, exp overflows f32 and the quotient may be flushed to 0: it is less than 2^-118 there.
    const tiny = g < -87 ? 2 ** -118 * Math.abs(other.value) : 0;
    // silu is nowhere steeper than 1.1.
    const inherited = 1.1 * error * (Math.abs(other.value) + other.error) + Math.abs(silu) * other.error;
    return { value, error: operations * U * Math.abs(value) + tiny + inherited };
  });
}

export interface RopeOptions {
  readonly dimensions: number;
  readonly theta: number;
}

/** Rotates each pair of a head's first `dimensions` elements by position * theta^(-2i / dimensions). */
export function ropeReference(head: readonly Expected[], position: number, options: RopeOptions): Expected[] {
  const { dimensions, theta } = options;
  const rotated = [...head];
  const nothing = { value: NaN, error: NaN };
  for (let i = 0; i < dimensions / 2; i++) {
    const [a, b] = [2 * i, 2 * i + 1];
    const [{ value: x, error: ofX }, { value: y, error: ofY }] = [head[a] ?? nothing, head[b] ?? nothing];
    const angle = position * theta ** ((-2 * i) / dimensions);
    const error = 4 * U * (Math.abs(x) + Math.abs(y)) + ofX + ofY;
    rotated[a] = { value: x * Math.cos(angle) - y * Math.sin(angle), error };
    rotated[b] = { value: x * Math.sin(angle) + y * Math.cos(angle), error };
  }
  return rotated;
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

/** One head's attention over a context: softmax(query · keys / sqrt(size)) · values. */
export function attentionReference(
  query: Float32Array,
  keys: readonly (Float32Array | Float64Array)[],
  values: readonly (Float32Array | Float64Array)[],
): Expected[] {
  const size = query.length;
  const scores = keys.map((key) => query.reduce((sum, q, i) => sum + (key[i] ?? NaN) * q, 0) / Math.sqrt(size));
  const highest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - highest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  // A score's error is that of a dot product, an 8-bit key's scale included; exp turns it into a relative error of the weight, twice: here and in the
  // largest, and once more where splits are merged. Then the context's sums, above and below, and 8-bit values' scales.
  const magnitudes = keys.map((key) => query.reduce((sum, q, i) => sum + Math.abs((key[i] ?? NaN) * q), 0));
  const scoreError = ((size + 3) * Math.max(...magnitudes)) / Math.sqrt(size);
  const expError = 2 * (3 + 2 * (highest - Math.min(...scores)));
  const operations = 2 * scoreError + 2 * expError + 2 * keys.length + 8;
  return Array.from({ length: size }, (_, i) => {
    let value = 0;
    let magnitude = 0;
    for (const [t, weight] of weights.entries()) {
      value += (weight / total) * (values[t]?.[i] ?? NaN);
      magnitude += (weight / total) * Math.abs(values[t]?.[i] ?? NaN);
    }
    return { value, error: operations * U * magnitude };
  });
}
