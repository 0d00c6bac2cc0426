import type { RecommendedSampling } from '../core/recommended-sampling.ts';
import type { GgufMetadata } from '../formats/gguf-metadata.ts';

/** A GGUF key, the request parameter it sets, and the values that a request accepts for it. */
const KEYS = [
  ['temp', 'temperature', (value) => value >= 0 && value <= 2],
  ['top_p', 'top_p', (value) => value > 0 && value <= 1],
  ['top_k', 'top_k', (value) => Number.isSafeInteger(value) && value >= 0],
  ['min_p', 'min_p', (value) => value >= 0 && value <= 1],
  ['penalty_repeat', 'repetition_penalty', (value) => value >= 0.01 && value <= 100],
] as const satisfies readonly (readonly [string, keyof RecommendedSampling, (value: number) => boolean])[];

/**
 * The recommendations in a GGUF file's `general.sampling.*`, as llama.cpp's converter writes them. They are hints: a value
 * that is not a number, or that no request may have, is ignored.
 */
export function readRecommendedSampling(metadata: GgufMetadata): RecommendedSampling {
  const found = KEYS.flatMap(([key, parameter, isAllowed]) => {
    const value = metadata[`general.sampling.${key}`];
    return typeof value === 'number' && isAllowed(value) ? [[parameter, asWritten(value)] as const] : [];
  });
  return Object.fromEntries(found);
}

/** The decimal number that was meant. The file holds an f32, of which six digits are exact: 0.6 is 0.60000002 there. */
function asWritten(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(6));
}
