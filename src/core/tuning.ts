/** Every {@link Tuning}. */
export const TUNINGS = ['auto', 'off', 'force'] as const;

/**
 * Whether kernels are fitted to this adapter by trials of their variants, while there is no request. `auto`: kernels not
 * known from an earlier load are tried, within 10 s, 2 s of GPU time and 64 compiled pipelines, but not on a software adapter;
 * `off`: no trials, and earlier ones are not looked up; `force`: all kernels are tried anew, on any adapter, however long it
 * takes. Trials run only while a tab of the model is visible.
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

/** A variant that gave other bits than the default on this adapter, and is not used. */
export interface RejectedVariant {
  /** The kernel and its shape. */
  readonly kernel: string;
  readonly variant: string;
}

/** The state of tuning, as `client.metrics()` reports it. */
export interface TuningMetrics {
  /**
   * `off`: no trials here; `idle`: trials wait for a moment without requests while a tab is visible, or for the check of the
   * variants that earlier loads have kept; `tuning`: they are under way; `done`: all variants have been tried; `limited`: a limit of this load was reached, and the next load goes on
   * with the variants that were not tried; `failed`: a trial has failed, and there are no more in this load; `cached`: all
   * variants were tried at earlier loads.
   */
  readonly state: 'off' | 'idle' | 'tuning' | 'done' | 'limited' | 'failed' | 'cached';
  /** Milliseconds that trials have taken since the model was loaded, compiling included, while a tab was visible. */
  readonly wallMs: number;
  /** Milliseconds of GPU time that trials have taken since the model was loaded. */
  readonly gpuMs: number;
  /** Variants compiled for trials since the model was loaded. */
  readonly pipelinesCompiled: number;
  /** How many kernels, shapes and numbers of tokens there are to tune. */
  readonly numKernels: number;
  /** Those that have been tuned: at least their most promising variants have been tried. */
  readonly kernels: readonly TunedKernel[];
  /**
   * Variants that were wrong here, since the model was loaded. A variant is compared with the default on the same inputs
   * before it is used, at each load.
   */
  readonly rejected: readonly RejectedVariant[];
}
