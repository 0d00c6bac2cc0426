/** The most that the trials of one load take. */
export interface TrialLimits {
  /** Milliseconds, compiling included, while a tab is visible. Waiting for requests to end does not count. */
  readonly wallMs: number;
  /** Milliseconds of the GPU's time. */
  readonly gpuMs: number;
  /** Variants that are compiled. */
  readonly pipelines: number;
}

/** A limit is reached. */
export class LimitReached extends Error {}

/** The share of the time left that the first trial may compile for: nobody knows yet how long its runs take. */
const FIRST_COMPILING_SHARE = 1 / 2;

/** The time and the pipelines that the trials of one load have taken, and the rest of its limits. */
export class TrialBudget {
  wallMs = 0;
  gpuMs = 0;
  pipelines = 0;
  readonly #limits: TrialLimits;
  /** The most that one trial took: to compile, to run, and of the GPU. No trial has run yet where `runningMs` is 0. */
  #compilingMs = 0;
  #runningMs = 0;
  #trialGpuMs = 0;

  constructor(limits: TrialLimits) {
    this.#limits = limits;
  }

  /** Whether any trial may run at all. */
  get isOpen(): boolean {
    return this.#limits.pipelines > 0;
  }

  get pipelinesLeft(): number {
    return this.#limits.pipelines - this.pipelines;
  }

  /** Milliseconds that the next trial may compile for, so that there is time to run it. */
  get compilingMsLeft(): number {
    const left = this.#limits.wallMs - this.wallMs;
    return this.#runningMs === 0 ? FIRST_COMPILING_SHARE * left : left - this.#runningMs;
  }

  /** @throws LimitReached where there is no room for a trial that takes as much as any so far */
  requireTrial(): void {
    this.#require(this.#compilingMs + this.#runningMs, this.#trialGpuMs);
    if (this.pipelinesLeft <= 0) throw new LimitReached();
  }

  /** @throws LimitReached where there is no time for another run */
  requireRun(): void {
    this.#require(0, 0);
  }

  /** A trial's variants were all compiled within this time. */
  hasCompiled(ms: number): void {
    this.#compilingMs = Math.max(this.#compilingMs, ms);
  }

  /** Does the runs of a trial, and keeps in mind what they take. */
  async measure<T>(runs: () => Promise<T>): Promise<T> {
    const { wallMs, gpuMs } = this;
    const result = await runs();
    this.#runningMs = Math.max(this.#runningMs, this.wallMs - wallMs);
    this.#trialGpuMs = Math.max(this.#trialGpuMs, this.gpuMs - gpuMs);
    return result;
  }

  #require(wallMs: number, gpuMs: number): void {
    const limits = this.#limits;
    if (this.wallMs + wallMs >= limits.wallMs || this.gpuMs + gpuMs >= limits.gpuMs) throw new LimitReached();
  }
}
