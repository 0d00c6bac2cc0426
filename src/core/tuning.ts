/** Every {@link Tuning}. */
export const TUNINGS = ['auto', 'off', 'force'] as const;

/**
 * Whether kernels are fitted to this adapter by racing their variants, while nothing is asked. `auto`: what is not known
 * from an earlier load is raced, within 2 s of the GPU's time, but not on a software adapter; `off`: neither raced nor
 * looked up; `force`: all is raced anew, on any adapter, however long it takes.
 */
export type Tuning = (typeof TUNINGS)[number];

/** What a race has found, to be kept from one load to the next. */
export interface Winner {
  /** The name of the way that won. */
  readonly way: string;
  /** Milliseconds of a dispatch, and what they are without tuning. */
  readonly ms: number;
  readonly defaultMs: number;
}

/** By {@link Tunable.key}. */
export type Winners = ReadonlyMap<string, Winner>;

/** Some kernels of one shape that can be run in several ways, all with the same bits. */
export interface Tunable {
  /** The same at the next load, as long as there is the same to choose from. */
  readonly key: string;
  /** The kernel and its shape, and for how many tokens. */
  readonly name: string;
  readonly tokens: number;
  /** The name of the way in use. */
  readonly way: string;
  /** Compiles all ways. Nothing is slower for it. */
  prepare(): Promise<Contest>;
}

/** A kernel that a model is ready without: others do its work until it is compiled. */
export interface LateKernel {
  /** How many tokens it is for. */
  readonly tokens: number;
  /** In use from the next step on. @throws TabserveError where it does not compile; the others go on with its work */
  compile(): Promise<void>;
}

/** What races are run with. */
export interface Contest {
  /** The names of the ways that compile; the first is what is good without having been raced. */
  readonly ways: readonly string[];
  /** Milliseconds that its clock goes forward by, at least; browsers make it coarse. */
  readonly clockMs: number;
  /**
   * Milliseconds until the GPU has run so many dispatches of a way and nothing else; none: what asking alone takes.
   * @throws TabserveError where the GPU finds fault, or is lost
   */
  time(way: string, dispatches: number): Promise<number>;
  /** From the next step on. */
  use(way: string): void;
}

/** How one shape's kernels are run. */
export interface TunedKernel {
  /** The kernel and its shape. */
  readonly name: string;
  /** Tokens a step, at most: each kernel is tuned for several. */
  readonly tokens: number;
  readonly variant: string;
  /** How many times as fast as without tuning, when they were raced. */
  readonly gain: number;
}

/** How kernels are fitted to this adapter, as `client.metrics()` tells it. */
export interface TuningMetrics {
  /**
   * `off`: nothing is raced here; `idle`: races wait for a moment without requests; `tuning`: they are under way;
   * `done`: they are over; `cached`: all were run at an earlier load.
   */
  readonly state: 'off' | 'idle' | 'tuning' | 'done' | 'cached';
  /** Milliseconds of GPU time that races have taken since the model was loaded. */
  readonly gpuMs: number;
  /** How many kernels, shapes and numbers of tokens there are to tune. */
  readonly numKernels: number;
  /** Those that have been tuned. */
  readonly kernels: readonly TunedKernel[];
}
