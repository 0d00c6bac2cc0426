import type { SampleInputs } from '../../kernels/step-inputs.ts';

/** PCG-RXS-M-XS, as a hash (Jarzynski and Olano, 2020). */
function hash(value: number): number {
  const state = (Math.imul(value, 747796405) + 2891336453) >>> 0;
  const word = Math.imul((state >>> ((state >>> 28) + 4)) ^ state, 277803737) >>> 0;
  return ((word >>> 22) ^ word) >>> 0;
}

/** The inputs of a draw. */
export type DrawInputs = Pick<SampleInputs, 'temperature' | 'seed' | 'choice' | 'position'>;

/** The scores of tokens whose argmax is the draw (Gumbel-max): logit / temperature + Gumbel noise, or the logit itself. */
export function scoresOf({ temperature, seed, choice, position }: DrawInputs): (logit: number, token: number) => number {
  if (temperature === 0) return (logit) => logit;
  const key = hash(seed ^ hash(choice ^ hash(position)));
  return (logit, token) => {
    const uniform = ((hash(key ^ hash(token)) >>> 9) + 0.5) / 2 ** 23;
    return logit / temperature - Math.log(-Math.log1p(-uniform));
  };
}

/**
 * How far a kernel's score may be from this: WGSL allows log an absolute error of 2^-21 from 0.5 to 2, and 3 ulp elsewhere.
 * The inner logarithm is at least 1/16 there, so it is off by 2^-17 of itself at most, and so is the outer one.
 */
export function scoreError(score: number, logit: number, temperature: number): number {
  return temperature === 0 ? 0 : 2 ** -16 + 2 ** -20 * (Math.abs(score) + Math.abs(logit / temperature));
}
