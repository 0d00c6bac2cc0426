/** The result of a kernel's trials, kept from one load to the next. */
export interface BestVariant {
  /** The name of the fastest variant that has been tried. */
  readonly variant: string;
  /** Milliseconds of its dispatch, and of the default variant's. */
  readonly ms: number;
  readonly defaultMs: number;
  /** The names of the variants that have been tried, those that do not compile included. The default is not named. */
  readonly tried: readonly string[];
}

/** By {@link Tunable.key}. */
export type BestVariants = ReadonlyMap<string, BestVariant>;

/** Kernels of one shape that have several variants, all with the same bits unless a driver compiles one wrongly. */
export interface Tunable {
  /** The same at the next load, as long as the variants are the same. */
  readonly key: string;
  /** The kernel and its shape, and for how many tokens. */
  readonly name: string;
  readonly tokens: number;
  /** The step that a trial stands for: its tokens, and the bytes that these kernels move in it, in all layers. */
  readonly trialStep: { readonly tokens: number; readonly bytes: number };
  /** The name of the variant in use. */
  readonly variant: string;
  /** Whether it is compiled; it may be deferred. */
  readonly isReady: boolean;
  /** The names of all variants but the default, the most promising first; none where the kernel is not used any more. */
  readonly candidates: readonly string[];
  /**
   * Compiles some of the candidates for a trial against the variant in use. Steps are not slower for it.
   * @param giveUp when it is aborted, variants that are not compiled yet are left out of the trial
   */
  prepare(candidates: readonly string[], giveUp: AbortSignal): Promise<Trial>;
}

/** A kernel that a model is ready without: others do its work until it is compiled. */
export interface DeferredKernel {
  /** The most tokens that it takes at once. */
  readonly tokens: number;
  /** The dispatches that others have done in its place so far. */
  readonly numMissed: number;
  /** In use from the next step on. @throws TabserveError where it does not compile; the others go on with its work */
  compile(): Promise<void>;
}

/** A kernel in several widths: for the same rows, more or fewer at once. They must give them the same bits. */
export interface KernelWidths {
  /** The kernel and its shape. */
  readonly name: string;
  /** The same at the next load, as long as the kernels are the same. */
  readonly key: string;
  /** Compiles those that are deferred. */
  prepare(): Promise<void>;
  /**
   * Each runs two defaults once on the same inputs, the narrowest and a wider one, and resolves whether all words of their
   * outputs are the same.
   */
  readonly comparisons: readonly (() => Promise<boolean>)[];
  /** From the next step on, the narrowest takes all rows. */
  useNarrowest(): void;
}

/** One trial, ready to run. */
export interface Trial {
  /** The names of the variants that are compiled; the first is the one in use so far. */
  readonly variants: readonly string[];
  /** The names of the variants that do not compile here. */
  readonly refused: readonly string[];
  /** The resolution of its clock in milliseconds; browsers make it coarse. */
  readonly clockMs: number;
  /**
   * Wall time of `dispatches` runs of this variant and nothing else, in milliseconds; 0 measures an empty submit.
   * @throws TabserveError where the GPU finds fault, or is lost
   */
  time(variant: string, dispatches: number): Promise<number>;
  /**
   * Whether the variant gives the default's bits here: both run once on the same inputs, and all words of their outputs are
   * compared.
   * @throws TabserveError where the GPU finds fault, has too little memory left, or is lost
   */
  agrees(variant: string): Promise<boolean>;
  /** From the next step on. Only a variant that {@link agrees}. */
  use(variant: string): void;
}
