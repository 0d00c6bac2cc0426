import type { BestVariant, BestVariants, Trial, Tunable, TunedKernel, TuningMetrics } from '../core/tuning.ts';
import type { GpuLock } from './gpu-lock.ts';
import { runTrial } from './trial.ts';

export interface AutotunerOptions {
  readonly tunables: readonly Tunable[];
  /** What was found before, and is in use. */
  readonly known: BestVariants;
  /** Milliseconds of the GPU's time that trials may take; 0: no trials. */
  readonly budgetMs: number;
  /** Keeps what was found. */
  readonly save: (key: string, best: BestVariant) => void;
  /** A run has the GPU to itself. */
  readonly gpuLock: GpuLock;
  /** Resolves when other work of idle moments is done, which would disturb a trial. */
  readonly othersSettled: () => Promise<void>;
  readonly log: (level: 'info', message: string) => void;
}

/** Why no further run is made. */
class Ended extends Error {}

/**
 * Fits kernels to the adapter, in moments when no engine of the worker has anything to do: runs a trial of each kernel's
 * variants, uses the best from the next step on, and keeps it for the next load.
 *
 * Each run has the GPU to itself. A request, of this model or another, waits for one run at most, of a few milliseconds on
 * a GPU; then the trial pauses. Kernels not reached within the budget keep the default until the next load.
 */
export class Autotuner {
  readonly #options: AutotunerOptions;
  readonly #bestVariants: Map<string, BestVariant>;
  readonly #stopped = new AbortController();
  #gpuMs = 0;
  #state: TuningMetrics['state'];
  #settled: Promise<void> | undefined;

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

  /** The engine has nothing to do. */
  onIdle(): void {
    if (this.#state === 'idle') this.#settled ??= this.#raceAll();
  }

  /** Resolves when all trials are over; never rejects. */
  get settled(): Promise<void> {
    return this.#settled ?? Promise.resolve();
  }

  /** Ends it after the run under way. */
  stop(): void {
    this.#stopped.abort(new Ended());
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

  async #raceAll(): Promise<void> {
    const { log, othersSettled } = this.#options;
    const { signal } = this.#stopped;
    try {
      await othersSettled();
      for (const tunable of this.#inOrder()) await this.#raceOne(tunable);
    } catch (error) {
      if (!(error instanceof Ended) && !signal.aborted) log('info', `Kernels are not tuned any more: ${String(error)}`);
    }
    this.#state = 'done';
    const { length: all } = this.#options.tunables;
    const gpuMs = Math.round(this.#gpuMs);
    if (!signal.aborted) log('info', `Tuned ${this.#bestVariants.size} of ${all} kernels to this adapter, in ${gpuMs} ms of its time.`);
  }

  /** Kernels without a trial so far: decoding first, then prompts, then what lies between. */
  #inOrder(): readonly Tunable[] {
    const missing = this.#options.tunables.filter(({ key }) => !this.#bestVariants.has(key));
    const widths = [...new Set(missing.map(({ tokens }) => tokens))].sort((a, b) => a - b);
    const [least, ...others] = widths;
    const order = least === undefined ? [] : [least, ...others.toReversed()];
    return order.flatMap((width) => missing.filter(({ tokens }) => tokens === width));
  }

  async #raceOne(tunable: Tunable): Promise<void> {
    const { gpuLock, save } = this.#options;
    await this.#alone(async () => {}); // while nothing is asked
    const trial = await gpuLock.shared(() => tunable.prepare());
    const best = await runTrial(trial, (variant, dispatches) => this.#time(trial, variant, dispatches));
    this.#stopped.signal.throwIfAborted();
    trial.use(best.variant);
    this.#bestVariants.set(tunable.key, best);
    save(tunable.key, best);
  }

  async #time(trial: Trial, variant: string, dispatches: number): Promise<number> {
    if (this.#gpuMs >= this.#options.budgetMs) throw new Ended();
    const ms = await this.#alone(() => trial.time(variant, dispatches));
    this.#gpuMs += ms;
    return ms;
  }

  /** Runs a task while nobody else uses the GPU. */
  #alone<T>(task: () => Promise<T>): Promise<T> {
    this.#state = 'idle';
    const tune = (): Promise<T> => {
      this.#state = 'tuning';
      return task();
    };
    return this.#options.gpuLock.exclusive(tune, this.#stopped.signal);
  }
}
