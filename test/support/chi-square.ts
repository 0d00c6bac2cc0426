/** A tenth of a percent of right samplers exceed these; seeds are fixed, so that each test either does or does not. */
export const CHI_SQUARE_7 = 24.32;
export const CHI_SQUARE_63 = 103.44;
export const DRAWS = 4096;

/** Pearson's statistic of how often each bin came up; infinite where one did that cannot. */
export function chiSquare(bins: readonly number[], probabilities: ArrayLike<number>): number {
  const counts = new Float64Array(probabilities.length);
  for (const bin of bins) counts[bin] = (counts[bin] ?? 0) + 1;
  let sum = 0;
  for (const [bin, count] of counts.entries()) {
    const expected = (probabilities[bin] ?? NaN) * bins.length;
    if (expected > 0) sum += (count - expected) ** 2 / expected;
    else if (count > 0) return Infinity;
  }
  return sum;
}

/** The probabilities of logits at a temperature. */
export function softmaxOf(logits: ArrayLike<number>, temperature: number): Float64Array {
  const weights = Float64Array.from(logits, (logit) => Math.exp(logit / temperature));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}
