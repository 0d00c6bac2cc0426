import type { IdleSteps, IdleTask } from '../core/idle-task.ts';
import type { TunedKernel, TuningMetrics } from '../core/tuning.ts';
import type { BestVariant, BestVariants, Tunable } from './tunable.ts';
import { runTrial } from './trial.ts';

export interface AutotunerOptions {
  readonly tunables: readonly Tunable[];
  /** The results of earlier trials, which are in use. */
  readonly known: BestVariants;
  /** Milliseconds of GPU time that trials may take; 0: no trials. */
  readonly budgetMs: number;
  /** Keeps the result of a trial. */
  readonly save: (key: string, best: BestVariant) => void;
  readonly log: (level: 'info', message: string) => void;
}

/** The budget is spent. */
class Spent extends Error {}

/**
 * Fits kernels to the adapter: runs a trial of each kernel's variants, uses the best from the next step on, and keeps it for
 * the next load.
 *
 * Each run of a trial is one exclusive step of a few milliseconds on a GPU, so a request, of this model or another, waits for
 * one run at most. Kernels not reached within the budget keep the default until the next load.
 */
export class Autotuner implements IdleTask {
  readonly failure = 'Kernels are not tuned any more';
  readonly #options: AutotunerOptions;
  readonly #bestVariants: Map<string, BestVariant>;
  #gpuMs = 0;
  #state: TuningMetrics['state'];

  constructor(options: AutotunerOptions) {
    this.#options = options;
    const { tunables, known, budgetMs } = options;
    // A best variant that does not compile any more is not in use.
    const inUse = tunables.flatMap(({ key, variant }) => {
      const best = known.get(key);
      return best?.variant === variant ? [[key, best] as const] : [];
    });
    this.#bestVariants = new Map(inUse);
    const isMissing = this.#bestVariants.size < tunables.length;
    if (isMissing) this.#state = budgetMs > 0 ? 'idle' : 'off';
    else this.#state = tunables.length > 0 ? 'cached' : 'off';
  }

  metrics(): TuningMetrics {
    const { tunables } = this.#options;
    const kernels = tunables.flatMap(({ key, name, tokens }): TunedKernel[] => {
      const best = this.#bestVariants.get(key);
      if (best === undefined) return [];
      return [{ name, tokens, variant: best.variant, gain: best.defaultMs / best.ms }];
    });
    return { state: this.#state, gpuMs: this.#gpuMs, numKernels: tunables.length, kernels };
  }

  async run(steps: IdleSteps): Promise<void> {
    if (this.#state !== 'idle') return;
    try {
      for (const tunable of this.#inOrder()) await this.#tune(tunable, steps);
    } catch (error) {
      if (!(error instanceof Spent)) throw error;
    } finally {
      this.#state = 'done';
    }
    const gpuMs = Math.round(this.#gpuMs);
    const counts = `${this.#bestVariants.size} of ${this.#options.tunables.length} kernels`;
    this.#options.log('info', `Tuned ${counts} to this adapter, in ${gpuMs} ms of its time.`);
  }

  /** The kernels without a trial so far: those of decoding first, then those of prompts, then the ones between. */
  #inOrder(): readonly Tunable[] {
    const missing = this.#options.tunables.filter(({ key }) => !this.#bestVariants.has(key));
    const widths = [...new Set(missing.map(({ tokens }) => tokens))].sort((a, b) => a - b);
    const [least, ...others] = widths;
    const order = least === undefined ? [] : [least, ...others.toReversed()];
    return order.flatMap((width) => missing.filter(({ tokens }) => tokens === width));
  }

  async #tune(tunable: Tunable, steps: IdleSteps): Promise<void> {
    const { budgetMs, save } = this.#options;
    await this.#alone(async () => {}, steps); // no model of the worker has a request
    const trial = await steps.shared(() => tunable.prepare());
    const best = await runTrial(trial, async (variant, dispatches) => {
      if (this.#gpuMs >= budgetMs) throw new Spent();
      const ms = await this.#alone(() => trial.time(variant, dispatches), steps);
      this.#gpuMs += ms;
      return ms;
    });
    trial.use(best.variant);
    this.#bestVariants.set(tunable.key, best);
    save(tunable.key, best);
  }

  /** Runs a step while nobody else uses the GPU. */
  #alone<T>(step: () => Promise<T>, { exclusive }: IdleSteps): Promise<T> {
    this.#state = 'idle';
    return exclusive(() => {
      this.#state = 'tuning';
      return step();
    });
  }
}
