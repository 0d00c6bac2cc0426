/** Every {@link Tuning}. */
export const TUNINGS = ['auto', 'off', 'force'] as const;

/**
 * Whether kernels are fitted to this adapter by trials of their variants, while there is no request. `auto`: kernels not
 * known from an earlier load are tried, within 2 s of GPU time, but not on a software adapter; `off`: no trials, and earlier
 * ones are not looked up; `force`: all kernels are tried anew, on any adapter, however long it takes.
 */
export type Tuning = (typeof TUNINGS)[number];

/** The result of a trial, kept from one load to the next. */
export interface BestVariant {
  /** The name of the fastest variant. */
  readonly variant: string;
  /** Milliseconds of a dispatch, and what they are without tuning. */
  readonly ms: number;
  readonly defaultMs: number;
}

/** By {@link Tunable.key}. */
export type BestVariants = ReadonlyMap<string, BestVariant>;

/** Kernels of one shape that have several variants, all with the same bits. */
export interface Tunable {
  /** The same at the next load, as long as there is the same to choose from. */
  readonly key: string;
  /** The kernel and its shape, and for how many tokens. */
  readonly name: string;
  readonly tokens: number;
  /** The name of the variant in use. */
  readonly variant: string;
  /** Compiles all variants. Nothing is slower for it. */
  prepare(): Promise<Trial>;
}

/** A kernel that a model is ready without: others do its work until it is compiled. */
export interface DeferredKernel {
  /** How many tokens it is for. */
  readonly tokens: number;
  /** In use from the next step on. @throws TabserveError where it does not compile; the others go on with its work */
  compile(): Promise<void>;
}

/** One trial, ready to run. */
export interface Trial {
  /** The names of the variants that compile; the first is the default. */
  readonly variants: readonly string[];
  /** Milliseconds that its clock goes forward by, at least; browsers make it coarse. */
  readonly clockMs: number;
  /**
   * Wall time of `dispatches` runs of this variant and nothing else, in milliseconds; 0 measures an empty submit.
   * @throws TabserveError where the GPU finds fault, or is lost
   */
  time(variant: string, dispatches: number): Promise<number>;
  /** From the next step on. */
  use(variant: string): void;
}

/** How one shape's kernels are run. */
export interface TunedKernel {
  /** The kernel and its shape. */
  readonly name: string;
  /** Tokens a step, at most: each kernel is tuned for several. */
  readonly tokens: number;
  readonly variant: string;
  /** How many times as fast as without tuning, in their trial. */
  readonly gain: number;
}

/** How kernels are fitted to this adapter, as `client.metrics()` tells it. */
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
