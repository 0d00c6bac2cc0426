import { yieldToEventLoop } from '../core/yield-to-event-loop.ts';
import type { Access, KernelSpec } from './kernel.ts';
import type { ShaderModule } from './link.ts';

/** One of the ways to run an op. All ways of a choice give the same bits. */
export interface Way<Detail = unknown> {
  /** Names it from one load to the next. */
  readonly name: string;
  /** What the op's grid depends on. */
  readonly detail: Detail;
  readonly modules: readonly ShaderModule[];
  readonly overrides: Readonly<Record<string, number | boolean>>;
  /** The grid it is raced with. */
  readonly raceGrid: readonly [x: number, y: number, z: number];
}

export interface ChoiceOptions<Detail = unknown> {
  /** Of the ops. */
  readonly name: string;
  readonly spec: KernelSpec<Readonly<Record<string, Access>>, readonly string[]>;
  /** Tokens that a step has at most where it matters. */
  readonly tokens: number;
  /** What is good without having been raced. */
  readonly initial: Way<Detail>;
  /** Whether steps can do without it for a while: it is compiled when it is asked for. @default false */
  readonly isLate?: boolean;
  /** What may be raced against it; called when that is to be known. */
  readonly others: () => readonly Way<Detail>[];
  /**
   * What stands in for a step's inputs while it is raced, in words, by binding: such that it writes nothing, or what only
   * the rest of its step reads.
   */
  readonly raceInputs: () => Readonly<Record<string, Uint32Array<ArrayBuffer>>>;
}

/** The buffers of one op, by binding. */
export type OpBuffers = Readonly<Record<string, GPUBindingResource | GPUBuffer>>;

/**
 * Which of several ways all ops of one shape are run. It may change from one step to the next: nothing is created for
 * that while stepping, and no bit depends on it.
 */
export class Choice<Detail = unknown> {
  readonly key: string;
  readonly options: ChoiceOptions<Detail>;
  /** Of the ops that share it, in the order of a step. */
  readonly buffers: OpBuffers[] = [];
  readonly #compile: (way: Way) => Promise<GPUComputePipeline>;
  #way: Way<Detail>;
  #compiling: Promise<GPUComputePipeline> | undefined;
  #pipeline: GPUComputePipeline | undefined;

  /** @param winner the name of the way that won before, which takes the initial one's place where it compiles */
  constructor(
    key: string,
    options: ChoiceOptions<Detail>,
    compile: (way: Way) => Promise<GPUComputePipeline>,
    winner?: string,
  ) {
    this.key = key;
    this.options = options;
    this.#compile = compile;
    const { initial } = options;
    const isOther = winner !== undefined && winner !== initial.name;
    this.#way = (isOther ? options.others().find(({ name }) => name === winner) : undefined) ?? initial;
    // Linking takes milliseconds, and there are many: each in a turn of its own.
    if (options.isLate !== true) void yieldToEventLoop().then(() => void this.#start());
  }

  /** The way in use. */
  get way(): Way<Detail> {
    return this.#way;
  }

  /** Only after {@link ready}. */
  get pipeline(): GPUComputePipeline {
    if (this.#pipeline === undefined) throw new Error(`${this.options.name} is not compiled: await ready() first`);
    return this.#pipeline;
  }

  /** Whether it can be used in a step. */
  get isReady(): boolean {
    return this.#pipeline !== undefined;
  }

  /** Compiles it, unless it is. @throws TabserveError where the initial way does not compile */
  async ready(): Promise<void> {
    this.#pipeline ??= await this.#start();
  }

  /** All ways, the initial one first. */
  ways(): readonly Way<Detail>[] {
    const { initial, others } = this.options;
    return [initial, ...others().filter(({ name }) => name !== initial.name)];
  }

  /** @throws TabserveError where it does not compile */
  compile(way: Way): Promise<GPUComputePipeline> {
    return this.#compile(way);
  }

  /** From the next step on. */
  use(way: Way<Detail>, pipeline: GPUComputePipeline): void {
    this.#way = way;
    this.#pipeline = pipeline;
  }

  #start(): Promise<GPUComputePipeline> {
    if (this.#compiling !== undefined) return this.#compiling;
    const { initial } = this.options;
    this.#compiling = this.#compile(this.#way).catch((error: unknown) => {
      if (this.#way === initial) throw error;
      this.#way = initial;
      return this.#compile(initial);
    });
    this.#compiling.catch(() => {}); // reported by ready()
    return this.#compiling;
  }
}
