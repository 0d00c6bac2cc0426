/**
 * The results of kernels in f64 and in the plainest form, with a bound on f32 rounding. U is half a unit in the last place. A
 * sum of n terms in any order is within n * U of its terms' magnitudes. WGSL's own functions are allowed more: exp(x) 3 + 2|x|
 * ulp, division 2.5, sqrt and inverseSqrt 2 to 3.
 */
import type { ExpectedOutput as Expected } from '../../quant/expected-outputs.ts';

export type { Expected };

/** Relative rounding error of one f32 operation. */
const U = 2 ** -24;

/** A number that no rounding has touched. */
export function exact(value: number): Expected {
  return { value, error: 0 };
}

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
  return Array.from(head, (value, i) => productReference(productReference(exact(value), inverse), exact(gain[i] ?? NaN)));
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
export function ropeReference(head: readonly Expected[], position: number, { dimensions, theta }: RopeOptions): Expected[] {
  return rotatedReference(head, dimensions, (i) => {
    const angle = position * theta ** ((-2 * i) / dimensions);
    return { cosine: Math.cos(angle), sine: Math.sin(angle) };
  });
}

/** The rotation of a pair of elements. */
export interface Turn {
  readonly cosine: number;
  readonly sine: number;
}

/** Rotates each pair of a head's first `dimensions` elements. */
export function rotatedReference(head: readonly Expected[], dimensions: number, turnOf: (pair: number) => Turn): Expected[] {
  const rotated = [...head];
  const nothing = { value: NaN, error: NaN };
  for (let i = 0; i < dimensions / 2; i++) {
    const [a, b] = [2 * i, 2 * i + 1];
    [rotated[a], rotated[b]] = turned(head[a] ?? nothing, head[b] ?? nothing, turnOf(i));
  }
  return rotated;
}

/** A pair of elements, rotated. */
export function turned({ value: x, error: ofX }: Expected, { value: y, error: ofY }: Expected, { cosine, sine }: Turn): [Expected, Expected] {
  const error = 4 * U * (Math.abs(x) + Math.abs(y)) + ofX + ofY;
  return [{ value: x * cosine - y * sine, error }, { value: x * sine + y * cosine, error }];
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
