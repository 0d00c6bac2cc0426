/** Every {@link Tuning}. */
export const TUNINGS = ['auto', 'off', 'force'] as const;

/**
 * Whether kernels are fitted to this adapter by trials of their variants, while there is no request. `auto`: kernels not
 * known from an earlier load are tried, within 2 s of GPU time, but not on a software adapter; `off`: no trials, and earlier
 * ones are not looked up; `force`: all kernels are tried anew, on any adapter, however long it takes.
 */
export type Tuning = (typeof TUNINGS)[number];

/** The variant in use of one shape's kernels. */
export interface TunedKernel {
  /** The kernel and its shape. */
  readonly name: string;
  /** Tokens a step, at most: each kernel is tuned for several. */
  readonly tokens: number;
  readonly variant: string;
  /** Its speed in the trial over the default variant's. */
  readonly gain: number;
}

/** The state of tuning, as `client.metrics()` reports it. */
export interface TuningMetrics {
  /**
   * `off`: no trials here; `idle`: trials wait for a moment without requests; `tuning`: they are under way;
   * `done`: they are over; `cached`: all were run at an earlier load.
   */
  readonly state: 'off' | 'idle' | 'tuning' | 'done' | 'cached';
  /** Milliseconds of GPU time that trials have taken since the model was loaded. */
  readonly gpuMs: number;
  /** How many kernels, shapes and numbers of tokens there are to tune. */
  readonly numKernels: number;
  /** Those that have been tuned. */
  readonly kernels: readonly TunedKernel[];
}
