/** The reference results of the sampler, in f64 or in exact integers, and in the plainest form. */
import type { LogitsParams } from '../../src/core/request.ts';
import { type DrawInputs, scoresOf } from '../../src/runner/known-answers/known-draw.ts';

export type { DrawInputs as Draw };

/** The scores of all tokens. See scoresOf. */
export function samplingScores(logits: Float32Array, inputs: DrawInputs): Float64Array {
  return Float64Array.from(logits, scoresOf(inputs));
}

/** The lowest index of the largest number. */
export function argmax(numbers: Float64Array | Float32Array): number {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if ((numbers[i] ?? NaN) > (numbers[best] ?? NaN)) best = i;
  return best;
}

/** The tokens of a sequence. */
export interface Tokens {
  readonly prompt: readonly number[];
  readonly output: readonly number[];
}

/** The logits after logit_bias and penalties, as vLLM defines them. */
export function adjustedLogits(logits: Float32Array, params: LogitsParams, { prompt, output }: Tokens): Float64Array {
  const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0, logitBias = [] } = params;
  return Float64Array.from(logits, (logit, token) => {
    let value = logit;
    for (const [biased, bias] of logitBias) if (biased === token) value += bias;
    const count = output.filter((id) => id === token).length;
    if (count > 0 || prompt.includes(token)) value = value > 0 ? value / repetitionPenalty : value * repetitionPenalty;
    return value - frequencyPenalty * count - (count > 0 ? presencePenalty : 0);
  });
}

type Filters = Pick<LogitsParams, 'topK' | 'topP' | 'minP'> & { readonly temperature: number };

/**
 * The mass of a token, in the fixed point that shaders/measure/mass.wgsl has: exp((logit - largest) / temperature) in
 * units of 2^-31.
 */
export function fixedPointMass(logit: number, largest: number, temperature: number): bigint {
  const scale = Math.fround((2 ** 16 * Math.LOG2E) / temperature);
  const scaled = Math.fround(Math.fround(largest - logit) * scale);
  if (!(scaled < 2 ** 21)) return 0n;
  const x = BigInt(Math.floor(scaled));
  const f = x & 0xffffn;
  const horner = [449n, 3493n, 15698n, 45422n, 0x10000n].reduce((power, coefficient) => coefficient - ((power * f) >> 16n));
  return (horner << 15n) >> (x >> 16n);
}

/**
 * The lowest logit that may be drawn, by the very arithmetic of the shaders, but with a sort for the radix selection.
 * Every token of at least that logit may be.
 */
export function fixedPointThreshold(logits: Float32Array, { topK = 0, topP = 1, minP = 0, temperature }: Filters): number {
  const sorted = logits.filter((logit) => !Number.isNaN(logit)).toSorted().toReversed();
  const largest = sorted[0] ?? NaN;
  let threshold = -Infinity;
  if (minP > 0) threshold = Math.fround(largest + Math.fround(temperature * Math.log(minP)));
  if (topK > 0) threshold = Math.max(threshold, sorted[topK - 1] ?? -Infinity);
  if (topP >= 1) return threshold;
  const kept = sorted.filter((logit) => logit >= threshold);
  const masses = Array.from(kept, (logit) => fixedPointMass(logit, largest, temperature));
  const total = masses.reduce((a, b) => a + b, 0n);
  const share = BigInt(Math.round(topP * 2 ** 32));
  const goal = (total * share + 0xffffffffn) >> 32n;
  let sum = 0n;
  for (const [i, mass] of masses.entries()) {
    sum += mass;
    if (sum >= goal) return kept[i] ?? NaN;
  }
  return threshold;
}

/** A token's filters in plain f64, by their definitions; `undefined` where a rounding error could decide. */
export function isKept(logits: Float32Array, token: number, filters: Filters): boolean | undefined {
  const { topK = 0, topP = 1, minP = 0, temperature } = filters;
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  const own = logits[token] ?? NaN;
  const numAbove = logits.filter((logit) => logit > own).length;
  if (topK > 0 && numAbove >= topK) return false;
  // top_p applies to the tokens that the other two leave.
  const kth = topK > 0 ? (logits.toSorted().at(-topK) ?? -Infinity) : -Infinity;
  const sum = (min: number): number =>
    weights.reduce((total, weight, i) => ((logits[i] ?? NaN) >= min && weight >= minP ? total + weight : total), 0);
  const weight = weights[token] ?? NaN;
  if (minP > 0 && Math.abs(weight / minP - 1) < 1e-5) return undefined;
  if (weight < minP) return false;
  if (topP >= 1) return true;
  const total = sum(kth);
  const above = weights.reduce((mass, each, i) => ((logits[i] ?? NaN) > own ? mass + each : mass), 0);
  // Masses are good to 2^-14, and lose what is below 2^-32.
  if (Math.abs(above / total - topP) < 2 ** -13) return undefined;
  return above < topP * total;
}
