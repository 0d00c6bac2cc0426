import type { IdleSteps, IdleTask } from '../core/idle-task.ts';
import type { TunedKernel, TuningMetrics } from '../core/tuning.ts';
import type { VisibleClock } from '../core/visible-clock.ts';
import type { BestVariant, BestVariants, Trial, Tunable } from './tunable.ts';
import { type NextTrial, nextTrial, untriedOf } from './trial-order.ts';
import { LimitReached, TrialBudget, type TrialLimits } from './trial-budget.ts';
import { runTrial, type TrialResult } from './trial.ts';

export interface AutotunerOptions {
  readonly tunables: readonly Tunable[];
  /** The results of earlier trials, which are in use. */
  readonly known: BestVariants;
  /** No pipelines: no trials. */
  readonly limits: TrialLimits;
  readonly clock: VisibleClock;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Keeps the result of a trial. */
  readonly save: (key: string, best: BestVariant) => void;
  readonly log: (level: 'info', message: string) => void;
}

/** All tabs were hidden during a trial: its times are wrong. */
class Hidden extends Error {}

/**
 * Fits kernels to the adapter: runs trials of each kernel's variants, uses the best from the next step on, and keeps it for
 * the next load.
 *
 * Each run of a trial is one exclusive step of a few milliseconds on a GPU, so a request, of this model or another, waits for
 * one run at most. Variants not tried within the limits wait for the next load, which goes on from there. Trials run while a
 * tab is visible; one during which all were hidden is run again.
 */
export class Autotuner implements IdleTask {
  readonly failure = 'Kernels are not tuned any more';
  readonly needsVisibleTab = true;
  readonly #options: AutotunerOptions;
  readonly #tunables: readonly Tunable[];
  readonly #bestVariants: Map<string, BestVariant>;
  readonly #budget: TrialBudget;
  /** Those with variants that took too long to compile: they wait for the next load. */
  readonly #late = new Set<Tunable>();
  #state: TuningMetrics['state'];

  constructor(options: AutotunerOptions) {
    this.#options = options;
    const { known, limits } = options;
    this.#budget = new TrialBudget(limits);
    this.#tunables = options.tunables.filter(({ candidates }) => candidates.length > 0);
    // A best variant that does not compile any more is not in use.
    const inUse = this.#tunables.flatMap(({ key, variant }) => {
      const best = known.get(key);
      return best?.variant === variant ? [[key, best] as const] : [];
    });
    this.#bestVariants = new Map(inUse);
    if (this.#isComplete) this.#state = this.#tunables.length > 0 ? 'cached' : 'off';
    else this.#state = this.#budget.isOpen ? 'idle' : 'off';
  }

  metrics(): TuningMetrics {
    const kernels = this.#tunables.flatMap(({ key, name, tokens }): TunedKernel[] => {
      const best = this.#bestVariants.get(key);
      if (best === undefined) return [];
      return [{ name, tokens, variant: best.variant, gain: best.defaultMs / best.ms }];
    });
    const { wallMs, gpuMs, pipelines } = this.#budget;
    return { state: this.#state, wallMs, gpuMs, pipelinesCompiled: pipelines, numKernels: this.#tunables.length, kernels };
  }

  async run(steps: IdleSteps): Promise<void> {
    if (this.#state !== 'idle') return;
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) await this.#try(next, steps);
      this.#state = this.#isComplete ? 'done' : 'limited';
    } catch (error) {
      this.#state = error instanceof LimitReached ? 'limited' : 'failed';
      if (!(error instanceof LimitReached)) throw error;
    }
    this.#report();
  }

  get #isComplete(): boolean {
    return this.#tunables.every((tunable) => untriedOf(tunable, this.#bestVariants).length === 0);
  }

  #next(): NextTrial | undefined {
    const tunables = this.#tunables.filter((tunable) => !this.#late.has(tunable));
    return nextTrial(tunables, this.#bestVariants);
  }

  async #try({ tunable, candidates }: NextTrial, steps: IdleSteps): Promise<void> {
    const budget = this.#budget;
    budget.requireTrial();
    const some = candidates.slice(0, budget.pipelinesLeft);
    const before = budget.wallMs;
    const trial = await this.#prepare(tunable, some, steps);
    const tried = some.filter((name) => trial.variants.includes(name) || trial.refused.includes(name));
    if (tried.length < some.length) this.#late.add(tunable);
    else budget.hasCompiled(budget.wallMs - before);
    if (tried.length === 0) return;
    const result = await budget.measure(() => this.#race(trial, steps));
    this.#use(tunable, trial, result, tried);
  }

  async #prepare(tunable: Tunable, candidates: readonly string[], { exclusive, shared }: IdleSteps): Promise<Trial> {
    await this.#step(exclusive, async () => {}); // no model of the worker has a request
    const [giveUp, ended] = [new AbortController(), new AbortController()];
    return this.#step(shared, async () => {
      this.#budget.pipelines += candidates.length;
      const ms = this.#budget.compilingMsLeft;
      if (ms < Infinity) void this.#pass(ms, ended.signal).then(() => giveUp.abort(), () => {});
      try {
        return await tunable.prepare(candidates, giveUp.signal);
      } finally {
        ended.abort();
      }
    });
  }

  /** Runs a trial until no tab was hidden meanwhile. */
  async #race(trial: Trial, { exclusive }: IdleSteps): Promise<TrialResult> {
    const { clock } = this.#options;
    for (;;) {
      const { numHides } = clock;
      const requireSeen = (): void => {
        if (clock.numHides !== numHides) throw new Hidden();
      };
      try {
        return await runTrial(trial, async (variant, dispatches) => {
          this.#budget.requireRun();
          const ms = await this.#step(exclusive, () => {
            requireSeen();
            return trial.time(variant, dispatches);
          });
          requireSeen();
          this.#budget.gpuMs += ms;
          return ms;
        });
      } catch (error) {
        if (!(error instanceof Hidden)) throw error;
      }
    }
  }

  /** Times of two trials are not compared: what each gained over the variant in use before is multiplied. */
  #use({ key }: Tunable, trial: Trial, { variant, ms, firstMs }: TrialResult, tried: readonly string[]): void {
    const known = this.#bestVariants.get(key) ?? { ms: 1, defaultMs: 1, tried: [] };
    const defaultMs = firstMs * (known.defaultMs / known.ms);
    const best = { variant, ms, defaultMs, tried: [...known.tried, ...tried] };
    trial.use(variant);
    this.#bestVariants.set(key, best);
    this.#options.save(key, best);
  }

  /** Runs a step, and counts its time. */
  #step<T>(begin: IdleSteps['shared'], step: () => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    this.#state = 'idle';
    return begin(async () => {
      this.#state = 'tuning';
      const start = clock.now();
      try {
        return await step();
      } finally {
        this.#budget.wallMs += clock.now() - start;
      }
    });
  }

  /** Resolves when a tab has been visible for this long. @throws the signal's reason */
  async #pass(ms: number, signal: AbortSignal): Promise<void> {
    const { clock, sleep } = this.#options;
    const end = clock.now() + ms;
    for (let left = ms; left > 0; left = end - clock.now()) await sleep(left, signal);
  }

  #report(): void {
    const { wallMs, gpuMs, pipelines } = this.#budget;
    const counts = `${this.#bestVariants.size} of ${this.#tunables.length} kernels`;
    const took = `${Math.round(wallMs)} ms (${Math.round(gpuMs)} ms on the GPU, ${pipelines} pipelines)`;
    const rest = this.#state === 'limited' ? ' The next load goes on.' : '';
    this.#options.log('info', `Tuned ${counts} to this adapter, in ${took}.${rest}`);
  }
}
