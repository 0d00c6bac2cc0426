/** The result of a trial, kept from one load to the next. */
export interface BestVariant {
  /** The name of the fastest variant. */
  readonly variant: string;
  /** Milliseconds of its dispatch, and of the default variant's. */
  readonly ms: number;
  readonly defaultMs: number;
}

/** By {@link Tunable.key}. */
export type BestVariants = ReadonlyMap<string, BestVariant>;

/** Kernels of one shape that have several variants, all with the same bits. */
export interface Tunable {
  /** The same at the next load, as long as the variants are the same. */
  readonly key: string;
  /** The kernel and its shape, and for how many tokens. */
  readonly name: string;
  readonly tokens: number;
  /** The name of the variant in use. */
  readonly variant: string;
  /** Compiles all variants. Steps are not slower for it. */
  prepare(): Promise<Trial>;
}

/** A kernel that a model is ready without: others do its work until it is compiled. */
export interface DeferredKernel {
  /** The most tokens that it takes at once. */
  readonly tokens: number;
  /** In use from the next step on. @throws TabserveError where it does not compile; the others go on with its work */
  compile(): Promise<void>;
}

/** One trial, ready to run. */
export interface Trial {
  /** The names of the variants that compile; the first is the default. */
  readonly variants: readonly string[];
  /** The resolution of its clock in milliseconds; browsers make it coarse. */
  readonly clockMs: number;
  /**
   * Wall time of `dispatches` runs of this variant and nothing else, in milliseconds; 0 measures an empty submit.
   * @throws TabserveError where the GPU finds fault, or is lost
   */
  time(variant: string, dispatches: number): Promise<number>;
  /** From the next step on. */
  use(variant: string): void;
}
