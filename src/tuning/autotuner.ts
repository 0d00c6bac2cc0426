import type { IdleSteps, IdleTask } from '../core/idle-task.ts';
import type { TunedKernel, TuningMetrics } from '../core/tuning.ts';
import type { VisibleClock } from '../core/visible-clock.ts';
import type { KeptVariants } from './kept-variants.ts';
import type { KnownVariants } from './known-variants.ts';
import type { Trial, Tunable } from './tunable.ts';
import { type NextTrial, nextTrial, untriedOf } from './trial-order.ts';
import { LimitReached, TrialBudget, type TrialLimits } from './trial-budget.ts';
import { runTrial, type TrialResult } from './trial.ts';

export interface AutotunerOptions {
  readonly tunables: readonly Tunable[];
  readonly variants: KnownVariants;
  /** An idle task added before this one. */
  readonly kept: Pick<KeptVariants, 'isDone'>;
  /** No pipelines: no trials. */
  readonly limits: TrialLimits;
  readonly clock: VisibleClock;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly log: (level: 'info', message: string) => void;
}

/** All tabs were hidden during a trial: its times are wrong. */
class Hidden extends Error {}

/**
 * Fits kernels to the adapter: runs trials of each kernel's variants, uses the best from the next step on, and keeps it for
 * the next load. A variant that does not give the default's bits is never used, however fast it is.
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
  readonly #variants: KnownVariants;
  readonly #budget: TrialBudget;
  /** Those with variants that took too long to compile: they wait for the next load. */
  readonly #late = new Set<Tunable>();
  /** Undefined until the first trial. */
  #state: TuningMetrics['state'] | undefined;

  constructor(options: AutotunerOptions) {
    this.#options = options;
    this.#variants = options.variants;
    this.#budget = new TrialBudget(options.limits);
    this.#tunables = options.tunables.filter(({ candidates }) => candidates.length > 0);
  }

  metrics(): TuningMetrics {
    const kernels = this.#tunables.flatMap(({ key, name, tokens, variant }): TunedKernel[] => {
      const best = this.#variants.best.get(key);
      if (best?.variant !== variant) return [];
      return [{ name, tokens, variant: best.variant, gain: best.defaultMs / best.ms }];
    });
    const { wallMs, gpuMs, pipelines } = this.#budget;
    const { rejected } = this.#variants;
    const state = this.#state ?? this.#stateWithoutTrials() ?? 'idle';
    return { state, wallMs, gpuMs, pipelinesCompiled: pipelines, numKernels: this.#tunables.length, kernels, rejected };
  }

  async run(steps: IdleSteps): Promise<void> {
    if (this.#state !== undefined && this.#state !== 'idle') return;
    if (!this.#options.kept.isDone) await steps.exclusive(async () => {}); // after the tasks before it
    if (this.#stateWithoutTrials() !== undefined) return;
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) await this.#try(next, steps);
      this.#state = this.#isComplete ? 'done' : 'limited';
    } catch (error) {
      this.#state = error instanceof LimitReached ? 'limited' : 'failed';
      if (!(error instanceof LimitReached)) throw error;
    }
    this.#report();
  }

  /** Undefined where there are trials to run, or where that is not known yet. */
  #stateWithoutTrials(): TuningMetrics['state'] | undefined {
    if (!this.#options.kept.isDone) return undefined;
    if (this.#isComplete) return this.#tunables.length > 0 ? 'cached' : 'off';
    return this.#budget.isOpen ? undefined : 'off';
  }

  get #isComplete(): boolean {
    return this.#tunables.every((tunable) => untriedOf(tunable, this.#variants.best).length === 0);
  }

  #next(): NextTrial | undefined {
    const tunables = this.#tunables.filter((tunable) => !this.#late.has(tunable));
    return nextTrial(tunables, this.#variants.best);
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
    const result = await budget.measure(() => this.#bestOf(tunable, trial, steps));
    this.#use(tunable, trial, result, tried);
  }

  /** The fastest variant that is right. A wrong one may have hidden others in the race, so they race again without it. */
  async #bestOf(tunable: Tunable, trial: Trial, steps: IdleSteps): Promise<TrialResult> {
    const [initial] = trial.variants;
    const wrong = new Set<string>();
    for (;;) {
      const variants = trial.variants.filter((name) => !wrong.has(name));
      const result = await this.#race(trial, variants, steps);
      const { variant } = result;
      if (variant === initial || (await this.#step(steps.shared, () => trial.agrees(variant)))) return result;
      this.#variants.reject(tunable, variant);
      wrong.add(variant);
    }
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
  async #race(trial: Trial, variants: readonly string[], { exclusive }: IdleSteps): Promise<TrialResult> {
    const { clock } = this.#options;
    const { clockMs } = trial;
    for (;;) {
      const { numHides } = clock;
      const requireSeen = (): void => {
        if (clock.numHides !== numHides) throw new Hidden();
      };
      try {
        return await runTrial({ variants, clockMs }, async (variant, dispatches) => {
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
    const known = this.#variants.best.get(key) ?? { ms: 1, defaultMs: 1, tried: [] };
    const defaultMs = firstMs * (known.defaultMs / known.ms);
    trial.use(variant);
    this.#variants.keep(key, { variant, ms, defaultMs, tried: [...new Set([...known.tried, ...tried])] });
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
    const counts = `${this.metrics().kernels.length} of ${this.#tunables.length} kernels`;
    const took = `${Math.round(wallMs)} ms (${Math.round(gpuMs)} ms on the GPU, ${pipelines} pipelines)`;
    const rest = this.#state === 'limited' ? ' The next load goes on.' : '';
    this.#options.log('info', `Tuned ${counts} to this adapter, in ${took}.${rest}`);
  }
}
