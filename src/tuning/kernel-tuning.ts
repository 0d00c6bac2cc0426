import { BUILD } from '../core/build.ts';
import type { LogFrame } from '../core/frames.ts';
import type { AdapterSummary } from '../core/metrics.ts';
import { sleep } from '../core/sleep.ts';
import type { VisibleClock } from '../core/visible-clock.ts';
import type { Tuning } from '../core/tuning.ts';
import type { BestVariants, Tunable } from './tunable.ts';
import { Autotuner } from './autotuner.ts';
import type { TrialLimits } from './trial-budget.ts';
import { keepBestVariant, readBestVariants, type TuningStorage } from './tuning-store.ts';

/** The same on every adapter: a slow compiler takes the time, and a slow GPU its share of it. */
const LIMITS: TrialLimits = { wallMs: 10_000, gpuMs: 2000, pipelines: 64 };
/** The most milliseconds that loading waits for the storage; without it kernels are tried again. */
const MAX_READ_MS = 250;

type Log = (level: LogFrame['level'], message: string) => void;

/** Fits the kernels of one load to its adapter, by the user's setting. A storage that fails only means new trials. */
export class KernelTuning {
  readonly #tuning: Tuning;
  readonly #storage: TuningStorage | undefined;
  readonly #log: Log;
  #known: BestVariants = new Map();

  constructor(tuning: Tuning = 'auto', openStorage: () => TuningStorage | undefined, log: Log) {
    this.#tuning = tuning;
    this.#storage = tuning === 'off' ? undefined : openStorage();
    this.#log = log;
  }

  /** The results of earlier loads on this adapter, unless all kernels are to be tried anew. Never rejects. */
  async bestVariants(adapter: AdapterSummary): Promise<BestVariants> {
    if (this.#storage === undefined || this.#tuning === 'force') return this.#known;
    const reading = readBestVariants(this.#storage, adapterKey(adapter), VERSION).catch(this.#logStorageFailure);
    this.#known = (await Promise.race([reading, sleep(MAX_READ_MS)])) ?? this.#known;
    return this.#known;
  }

  /** On a software adapter trials would keep the page's cores busy for long, so they run only if they are asked for. */
  start(adapter: AdapterSummary, tunables: readonly Tunable[], clock: VisibleClock, pause: typeof sleep = sleep): Autotuner {
    const limits = { auto: adapter.isSoftware ? eachOf(0) : LIMITS, off: eachOf(0), force: eachOf(Infinity) }[this.#tuning];
    const storage = this.#storage;
    const place = { adapter: adapterKey(adapter), version: VERSION };
    return new Autotuner({
      tunables,
      known: this.#known,
      limits,
      clock,
      sleep: pause,
      save: (key, best) => {
        if (storage !== undefined) keepBestVariant(storage, place, key, best).catch(this.#logStorageFailure);
      },
      log: this.#log,
    });
  }

  #hasLogged = false;
  readonly #logStorageFailure = (error: unknown): undefined => {
    if (!this.#hasLogged) this.#log('info', `This browser's storage cannot keep how kernels are tuned: ${String(error)}`);
    this.#hasLogged = true;
  };
}

function eachOf(limit: number): TrialLimits {
  return { wallMs: limit, gpuMs: limit, pipelines: limit };
}

/** Another release may have other kernels, and another browser another compiler. */
const VERSION = JSON.stringify([BUILD, globalThis.navigator?.userAgent ?? '']);

function adapterKey({ vendor, architecture, device, description, isSoftware, features }: AdapterSummary): string {
  return JSON.stringify([vendor, architecture, device, description, isSoftware, ...features.toSorted()]);
}
