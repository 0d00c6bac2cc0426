// @ts-check

/**
 * A seeded stream of numbers, the same bits in every JavaScript engine (no transcendental functions).
 *
 * @typedef {object} SeededRandom
 * @property {() => number} uint32 a 32-bit unsigned integer
 * @property {() => number} uniform in [0, 1)
 * @property {(n: number) => number} below an integer in [0, n)
 */

/** Mulberry32 (Tommy Ettinger's public-domain generator).
 * @param {number} seed
 * @returns {SeededRandom} */
export function seededRandom(seed) {
  let state = seed >>> 0;
  const uint32 = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const uniform = () => uint32() / 2 ** 32;
  return { uint32, uniform, below: (n) => Math.floor(uniform() * n) };
}

/** A seed for a named part of something seeded, so that parts do not depend on each other's order (FNV-1a).
 * @param {number} seed
 * @param {string} name */
export function deriveSeed(seed, name) {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}
