/**
 * The number types of products of weights and activations, each with its own results: f32; integer dot products of
 * activations rounded to 8 bits; or f16, with sums of 32 in f32.
 */
export const NUMERICS = ['f32', 'dp4a', 'f16'] as const;

/** Within a class a token's bits depend on nothing but its own text; between classes they differ. */
export type Numerics = (typeof NUMERICS)[number];
