/** A seeded stream of numbers, the same bits in every JavaScript engine (no transcendental functions). */
export interface Random {
  /** A 32-bit unsigned integer. */
  uint32(): number;
  /** Uniform in [0, 1). */
  uniform(): number;
  /** An integer in [0, n). */
  below(n: number): number;
  /** Nearly normal: mean 0, standard deviation 1, never beyond 3.5 (a sum of four uniforms). */
  normal(): number;
}

/** Mulberry32 (Tommy Ettinger's public-domain generator). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const uint32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const uniform = (): number => uint32() / 2 ** 32;
  return {
    uint32,
    uniform,
    below: (n) => Math.floor(uniform() * n),
    normal: () => (uniform() + uniform() + uniform() + uniform() - 2) * Math.sqrt(3),
  };
}

/** A seed for a named part of something seeded, so that parts do not depend on each other's order (FNV-1a). */
export function deriveSeed(seed: number, name: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}
