/**
 * Whether the bits of an answer were seen, on this adapter, not to depend on how many tokens a kernel takes at once.
 *
 * `unverified`: it is not measured, or not yet. `verified`: all kernels of the model gave the same bits in every width, for
 * ordinary, large and subnormal numbers. `failed`: these kernels did not; each now takes its rows in one width, slower, until
 * the next load.
 */
export type Invariance =
  | { readonly state: 'unverified' | 'verified' }
  | {
      readonly state: 'failed';
      /** The kernels and their shapes. */
      readonly kernels: readonly string[];
    };
