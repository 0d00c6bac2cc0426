import { BUILD } from '../core/build.ts';
import type { LogFrame } from '../core/frames.ts';
import type { AdapterSummary } from '../core/metrics.ts';
import { sleep } from '../core/sleep.ts';
import type { VisibleClock } from '../core/visible-clock.ts';
import type { Tuning } from '../core/tuning.ts';
import type { BestVariant, BestVariants, KernelWidths, Tunable } from './tunable.ts';
import { Autotuner } from './autotuner.ts';
import { InvarianceCheck } from './invariance-check.ts';
import { KeptVariants } from './kept-variants.ts';
import { KnownVariants } from './known-variants.ts';
import type { TrialLimits } from './trial-budget.ts';
import { keepBestVariant, keepInvariance, readBestVariants, readInvariance, type TuningStorage } from './tuning-store.ts';

/** The same on every adapter: a slow compiler takes the time, and a slow GPU its share of it. */
const LIMITS: TrialLimits = { wallMs: 10_000, gpuMs: 2000, pipelines: 64 };
/** The most milliseconds that tuning waits for the storage; without it kernels are tried again. */
const MAX_READ_MS = 250;

type Log = (level: LogFrame['level'], message: string) => void;

/** Fits the kernels of one load to its adapter, by the user's setting. A storage that fails only means new trials. */
export class KernelTuning {
  readonly #tuning: Tuning;
  readonly #storage: TuningStorage | undefined;
  readonly #log: Log;

  constructor(tuning: Tuning = 'auto', openStorage: () => TuningStorage | undefined, log: Log) {
    this.#tuning = tuning;
    this.#storage = tuning === 'off' ? undefined : openStorage();
    this.#log = log;
  }

  /**
   * The idle work that it takes, to be queued in this order. On a software adapter trials would keep the page's cores busy for
   * long, so they run only if they are asked for.
   */
  start(adapter: AdapterSummary, tunables: readonly Tunable[], clock: VisibleClock, pause: typeof sleep = sleep): TuningTasks {
    const { isSoftware } = adapter;
    const limits = { auto: isSoftware ? eachOf(0) : LIMITS, off: eachOf(0), force: eachOf(Infinity) }[this.#tuning];
    const log = this.#log;
    const storage = this.#storage;
    const place = { adapter: adapterKey(adapter), version: VERSION };
    const save = (key: string, best: BestVariant): void => {
      if (storage !== undefined) keepBestVariant(storage, place, key, best).catch(this.#logStorageFailure);
    };
    const variants = new KnownVariants({ save, adapter: nameOf(adapter), log });
    // All kernels are to be tried anew where trials are forced.
    const read = storage === undefined || this.#tuning === 'force' ? undefined : () => this.#read(storage, place.adapter);
    const kept = new KeptVariants({ tunables, read, variants, isSoftware, log });
    return { kept, tuner: new Autotuner({ tunables, variants, kept, limits, clock, sleep: pause, log }) };
  }

  /**
   * Whether kernels give the same bits in all widths is measured where kernels are tuned.
   * @param onFailure called while there is no request, when they do not
   */
  checkInvariance(adapter: AdapterSummary, widths: readonly KernelWidths[], onFailure: () => void): InvarianceCheck {
    const storage = this.#storage;
    const tuning = this.#tuning;
    const place = { adapter: adapterKey(adapter), version: VERSION };
    return new InvarianceCheck({
      widths,
      isMeasured: tuning === 'force' || (tuning === 'auto' && !adapter.isSoftware),
      read: async (kernels) => {
        if (storage === undefined || tuning === 'force') return undefined;
        const reading = readInvariance(storage, place.adapter, VERSION, kernels).catch(this.#logStorageFailure);
        return (await Promise.race([reading, sleep(MAX_READ_MS)])) ?? undefined;
      },
      save: (kernels, failed) => {
        if (storage !== undefined) keepInvariance(storage, place, kernels, failed).catch(this.#logStorageFailure);
      },
      onFailure,
      adapter: nameOf(adapter),
      log: this.#log,
    });
  }

  async #read(storage: TuningStorage, adapter: string): Promise<BestVariants> {
    const reading = readBestVariants(storage, adapter, VERSION).catch(this.#logStorageFailure);
    return (await Promise.race([reading, sleep(MAX_READ_MS)])) ?? new Map();
  }

  #hasLogged = false;
  readonly #logStorageFailure = (error: unknown): undefined => {
    if (!this.#hasLogged) this.#log('info', `This browser's storage cannot keep how kernels are tuned: ${String(error)}`);
    this.#hasLogged = true;
  };
}

export interface TuningTasks {
  readonly kept: KeptVariants;
  readonly tuner: Autotuner;
}

function nameOf({ vendor, architecture, device, description }: AdapterSummary): string {
  return [vendor, architecture, device, description].filter((part) => part !== '').join(', ');
}

function eachOf(limit: number): TrialLimits {
  return { wallMs: limit, gpuMs: limit, pipelines: limit };
}

/** Another release may have other kernels, and another browser another compiler. */
const VERSION = JSON.stringify([BUILD, globalThis.navigator?.userAgent ?? '']);

function adapterKey({ vendor, architecture, device, description, isSoftware, features }: AdapterSummary): string {
  return JSON.stringify([vendor, architecture, device, description, isSoftware, ...features.toSorted()]);
}
