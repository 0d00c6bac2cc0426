import { seededRandom, type SeededRandom } from '../../demo/bench/seeded-random.mjs';

export { deriveSeed } from '../../demo/bench/seeded-random.mjs';

export interface Random extends SeededRandom {
  /** Nearly normal: mean 0, standard deviation 1, never beyond 3.5 (a sum of four uniforms). */
  normal(): number;
}

export function createRandom(seed: number): Random {
  const random = seededRandom(seed);
  const { uniform } = random;
  return { ...random, normal: () => (uniform() + uniform() + uniform() + uniform() - 2) * Math.sqrt(3) };
}
