import type { Contest, Tunable, TunedKernel, TuningMetrics, Winner, Winners } from '../core/tuning.ts';
import type { GpuLock } from './gpu-lock.ts';
import { race } from './race.ts';

export interface AutotunerOptions {
  readonly tunables: readonly Tunable[];
  /** What was found before, and is in use. */
  readonly known: Winners;
  /** Milliseconds of the GPU's time that races may take; 0: nothing is raced. */
  readonly budgetMs: number;
  /** Keeps what was found. */
  readonly save: (key: string, winner: Winner) => void;
  /** A run has the GPU to itself. */
  readonly gpuLock: GpuLock;
  /** Resolves when other work of idle moments is done, which would be in the races' way. */
  readonly othersSettled: () => Promise<void>;
  readonly log: (level: 'info', message: string) => void;
}

/** Why no further run is made. */
class Ended extends Error {}

/**
 * Fits kernels to the adapter, in moments when no engine of the worker has anything to do: races the ways that there are to
 * run them, has each winner run from the next step on, and keeps it for the next load.
 *
 * Each run has the GPU to itself. A request, of this model or another, waits for one run at most, of a few milliseconds on
 * a GPU; then the race pauses. What there is no time for keeps its default, and is raced at the next load.
 */
export class Autotuner {
  readonly #options: AutotunerOptions;
  readonly #winners: Map<string, Winner>;
  readonly #stopped = new AbortController();
  #gpuMs = 0;
  #state: TuningMetrics['state'];
  #settled: Promise<void> | undefined;

  constructor(options: AutotunerOptions) {
    this.#options = options;
    const { tunables, known, budgetMs } = options;
    // A winner that does not compile any more is not in use.
    const inUse = tunables.flatMap(({ key, way }) => {
      const winner = known.get(key);
      return winner?.way === way ? [[key, winner] as const] : [];
    });
    this.#winners = new Map(inUse);
    const isMissing = this.#winners.size < tunables.length;
    if (isMissing) this.#state = budgetMs > 0 ? 'idle' : 'off';
    else this.#state = tunables.length > 0 ? 'cached' : 'off';
  }

  /** The engine has nothing to do. */
  onIdle(): void {
    if (this.#state === 'idle') this.#settled ??= this.#raceAll();
  }

  /** Resolves when all races are over; never rejects. */
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
      const winner = this.#winners.get(key);
      if (winner === undefined) return [];
      return [{ name, tokens, variant: winner.way, gain: winner.defaultMs / winner.ms }];
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
    if (!signal.aborted) log('info', `Tuned ${this.#winners.size} of ${all} kernels to this adapter, in ${gpuMs} ms of its time.`);
  }

  /** What has no winner yet: decoding first, then prompts, then what lies between. */
  #inOrder(): readonly Tunable[] {
    const missing = this.#options.tunables.filter(({ key }) => !this.#winners.has(key));
    const widths = [...new Set(missing.map(({ tokens }) => tokens))].sort((a, b) => a - b);
    const [least, ...others] = widths;
    const order = least === undefined ? [] : [least, ...others.toReversed()];
    return order.flatMap((width) => missing.filter(({ tokens }) => tokens === width));
  }

  async #raceOne(tunable: Tunable): Promise<void> {
    const { gpuLock, save } = this.#options;
    await this.#alone(async () => {}); // while nothing is asked
    const contest = await gpuLock.shared(() => tunable.prepare());
    const winner = await race(contest, (way, dispatches) => this.#time(contest, way, dispatches));
    this.#stopped.signal.throwIfAborted();
    contest.use(winner.way);
    this.#winners.set(tunable.key, winner);
    save(tunable.key, winner);
  }

  async #time(contest: Contest, way: string, dispatches: number): Promise<number> {
    if (this.#gpuMs >= this.#options.budgetMs) throw new Ended();
    const ms = await this.#alone(() => contest.time(way, dispatches));
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
