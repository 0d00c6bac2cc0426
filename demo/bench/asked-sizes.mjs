// @ts-check

/** How many requests may run at once, one level of load after the other. */
export const LOAD_LEVELS = [1, 2, 4, 8, 16];
export const QUICK_LOAD_LEVELS = [1, 4];

/** How much is measured, as far as that does not depend on the adapter.
 * @param {boolean} quick */
export function askedSizes(quick) {
  return { quick, promptTokens: 128, decodeTokens: quick ? 32 : 128, repeats: quick ? 1 : 3 };
}
