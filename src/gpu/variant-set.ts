import { yieldToEventLoop } from '../core/yield-to-event-loop.ts';
import type { CheckScene } from './check-scene.ts';
import type { Access, KernelSpec } from './kernel.ts';
import type { ShaderModule } from './link.ts';

/** One compiled form of an op's kernel. All variants of a set give the same bits, where the GPU's driver compiles them rightly. */
export interface Variant<Detail = unknown> {
  /** A name that is the same at every load. */
  readonly name: string;
  /** The input of the op's grid. */
  readonly detail: Detail;
  readonly modules: readonly ShaderModule[];
  readonly overrides: Readonly<Record<string, number | boolean>>;
  /** The grids of its trial and of its check. */
  readonly trialGrid: readonly [x: number, y: number, z: number];
  readonly checkGrid: readonly [x: number, y: number, z: number];
}

export interface VariantSetOptions<Detail = unknown> {
  /** Of the ops. */
  readonly name: string;
  readonly spec: KernelSpec<Readonly<Record<string, Access>>, readonly string[]>;
  /** The most tokens of a step, where that matters. */
  readonly tokens: number;
  /** The default, without a trial. */
  readonly initial: Variant<Detail>;
  /** Whether steps can do without it at first: it is compiled on request. @default false */
  readonly isDeferred?: boolean;
  /** Variants worth a trial, the most promising first; called when a trial begins. */
  readonly candidates: () => readonly Variant<Detail>[];
  /**
   * The words that replace a step's inputs in a trial, by binding: such that it writes nothing, or only what the rest of its
   * step reads.
   */
  readonly trialInputs: () => Readonly<Record<string, Uint32Array<ArrayBuffer>>>;
  /** The step of a trial: its tokens, and the bytes that one op has to move. */
  readonly trialStep: { readonly tokens: number; readonly bytes: number };
  /** The scene on which another variant must give the default's bits before it is used. */
  readonly checkScene: () => CheckScene;
  /** Shared by the sets that take the same rows, more or fewer at once, and must give them the same bits. */
  readonly family: object;
}

/** The buffers of one op, by binding. */
export type OpBuffers = Readonly<Record<string, GPUBindingResource | GPUBuffer>>;

/**
 * The variants of all ops of one shape, and the one in use. It may change from one step to the next: a change creates
 * nothing while stepping, and affects no bit.
 */
export class VariantSet<Detail = unknown> {
  readonly key: string;
  readonly options: VariantSetOptions<Detail>;
  /** Of the ops that share it, in the order of a step. */
  readonly buffers: OpBuffers[] = [];
  readonly #compile: (variant: Variant) => Promise<GPUComputePipeline>;
  #numMissed = 0;
  #isRetired = false;
  #variant: Variant<Detail>;
  #compiling: Promise<GPUComputePipeline> | undefined;
  #initialPipeline: GPUComputePipeline | undefined;
  #pipeline: GPUComputePipeline | undefined;

  constructor(key: string, options: VariantSetOptions<Detail>, compile: (variant: Variant) => Promise<GPUComputePipeline>) {
    this.key = key;
    this.options = options;
    this.#compile = compile;
    this.#variant = options.initial;
    // Linking takes milliseconds, and there are many kernels: each is linked in its own turn of the event loop.
    if (options.isDeferred !== true) void yieldToEventLoop().then(() => void this.#start());
  }

  /** The variant in use. */
  get variant(): Variant<Detail> {
    return this.#variant;
  }

  /** Only after {@link ready}. */
  get pipeline(): GPUComputePipeline {
    return this.#compiled(this.#pipeline);
  }

  /** The default's. Only after {@link ready}. */
  get initialPipeline(): GPUComputePipeline {
    return this.#compiled(this.#initialPipeline);
  }

  /** Whether it can be used in a step. */
  get isReady(): boolean {
    return this.#pipeline !== undefined && !this.#isRetired;
  }

  /** Whether it is not used any more. */
  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** From the next step on, narrower sets of its family take its rows. */
  retire(): void {
    this.#isRetired = true;
  }

  /** The dispatches that others did in its place because it is deferred and not compiled yet. */
  get numMissed(): number {
    return this.#numMissed;
  }

  /** To be called for each dispatch that others do in its place. */
  miss(): void {
    if (!this.#isRetired) this.#numMissed++;
  }

  /** Compiles the default, unless it is. @throws TabserveError where it does not compile */
  async ready(): Promise<void> {
    this.#initialPipeline ??= await this.#start();
    this.#pipeline ??= this.#initialPipeline;
  }

  /** All variants, the initial one first. */
  variants(): readonly Variant<Detail>[] {
    const { initial, candidates } = this.options;
    return [initial, ...candidates().filter(({ name }) => name !== initial.name)];
  }

  /** @throws TabserveError where it does not compile */
  compile(variant: Variant): Promise<GPUComputePipeline> {
    return this.#compile(variant);
  }

  /** From the next step on. */
  use(variant: Variant<Detail>, pipeline: GPUComputePipeline): void {
    this.#variant = variant;
    this.#pipeline = pipeline;
  }

  #start(): Promise<GPUComputePipeline> {
    if (this.#compiling !== undefined) return this.#compiling;
    this.#compiling = this.#compile(this.options.initial);
    this.#compiling.catch(() => {}); // reported by ready()
    return this.#compiling;
  }

  #compiled(pipeline: GPUComputePipeline | undefined): GPUComputePipeline {
    if (pipeline === undefined) throw new Error(`${this.options.name} is not compiled: await ready() first`);
    return pipeline;
  }
}

/**
 * Of sets of one kernel for different numbers of tokens, ascending: the narrowest compiled one with room for all tokens,
 * else the widest compiled one.
 */
export function readyFor<Detail>(ascending: readonly VariantSet<Detail>[], tokens: number): VariantSet<Detail> {
  const found =
    ascending.find(({ isReady, options }) => isReady && options.tokens >= tokens) ?? ascending.findLast(({ isReady }) => isReady);
  if (found === undefined) throw new Error('no tiling of a matmul is compiled: await ready() first');
  return found;
}

/** Counts a dispatch for these tokens that a deferred one of these sets would have done. */
export function missDeferred(ascending: readonly VariantSet[], tokens: number): void {
  const best = ascending.find(({ options }) => options.tokens >= tokens) ?? ascending.at(-1);
  if (best?.isReady === false) best.miss();
}

/**
 * The most tokens that a compiled one of these sets takes at once. They are sets of one kernel for different numbers of
 * tokens, of which some may be deferred.
 */
export function readyTokens(variantSets: readonly VariantSet[]): number {
  return Math.max(...variantSets.filter(({ isReady }) => isReady).map(({ options }) => options.tokens));
}
