import type { Contest, Tunable, TunedKernel, TuningMetrics, Winner, Winners } from '../core/tuning.ts';
import { Doorbell } from './doorbell.ts';
import { race } from './race.ts';

export interface AutotunerOptions {
  readonly tunables: readonly Tunable[];
  /** What was found before, and is in use. */
  readonly known: Winners;
  /** Milliseconds of the GPU's time that races may take; 0: nothing is raced. */
  readonly budgetMs: number;
  /** Keeps what was found. */
  readonly save: (key: string, winner: Winner) => void;
  /** Whether a request runs or waits. */
  readonly isBusy: () => boolean;
  /** Resolves when other work of idle moments is done, which would be in the races' way. */
  readonly othersSettled: () => Promise<void>;
  readonly log: (level: 'info', message: string) => void;
}

/** Why no further run is made. */
class Ended extends Error {}

/**
 * Fits kernels to the adapter, in moments when the engine has nothing to do: races the ways that there are to run them,
 * has each winner run from the next step on, and keeps it for the next load.
 *
 * A request waits for one run at most, of a few milliseconds on a GPU: when one comes, the race pauses, and what it may
 * have disturbed is run again, and not counted. What there is no time for keeps its default, and is raced at the next load.
 */
export class Autotuner {
  readonly #options: AutotunerOptions;
  readonly #winners: Map<string, Winner>;
  readonly #doorbell = new Doorbell();
  #gpuMs = 0;
  /** How often the engine has become idle. */
  #idleCount = 0;
  #isStopped = false;
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
    this.#idleCount++;
    this.#doorbell.ring();
    if (this.#state === 'idle') this.#settled ??= this.#raceAll();
  }

  /** Resolves when all races are over; never rejects. */
  get settled(): Promise<void> {
    return this.#settled ?? Promise.resolve();
  }

  /** Ends it after the run under way. */
  stop(): void {
    this.#isStopped = true;
    this.#doorbell.ring();
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
    try {
      await othersSettled();
      for (const tunable of this.#inOrder()) await this.#raceOne(tunable);
    } catch (error) {
      if (!(error instanceof Ended) && !this.#isStopped) log('info', `Kernels are not tuned any more: ${String(error)}`);
    }
    this.#state = 'done';
    const { length: all } = this.#options.tunables;
    const gpuMs = Math.round(this.#gpuMs);
    if (!this.#isStopped) log('info', `Tuned ${this.#winners.size} of ${all} kernels to this adapter, in ${gpuMs} ms of its time.`);
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
    await this.#untilIdle();
    const contest = await tunable.prepare();
    const winner = await race(contest, (way, dispatches) => this.#time(contest, way, dispatches));
    if (this.#isStopped) throw new Ended();
    contest.use(winner.way);
    this.#winners.set(tunable.key, winner);
    this.#options.save(tunable.key, winner);
  }

  /** A run that nothing has disturbed. */
  async #time(contest: Contest, way: string, dispatches: number): Promise<number> {
    for (;;) {
      await this.#untilIdle();
      if (this.#gpuMs >= this.#options.budgetMs) throw new Ended();
      const idleCount = this.#idleCount;
      const ms = await contest.time(way, dispatches);
      if (idleCount !== this.#idleCount || this.#options.isBusy()) continue;
      this.#gpuMs += ms;
      return ms;
    }
  }

  async #untilIdle(): Promise<void> {
    while (!this.#isStopped && this.#options.isBusy()) {
      this.#state = 'idle';
      await this.#doorbell.wait();
    }
    if (this.#isStopped) throw new Ended();
    this.#state = 'tuning';
  }
}
