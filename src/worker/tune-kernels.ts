import type { AdapterSummary } from '../core/metrics.ts';
import { sleep } from '../core/sleep.ts';
import type { BestVariants, Tunable, Tuning } from '../core/tuning.ts';
import { Autotuner } from '../engine/autotuner.ts';
import { keepBestVariant, readBestVariants, type TuningStorage } from '../storage/tuning-store.ts';
import { BUILD } from './build.ts';
import type { LoadContext } from './served-model.ts';

/** GPU time that trials may take, of one load. */
const BUDGET_MS = 2000;
/** Loading does not wait longer for a storage: without it kernels are tried again. */
const MAX_READ_MS = 250;

/** Fits the kernels of one load to its adapter, as the user's setting says. Its storage's failures fail nothing. */
export class KernelTuning {
  readonly #tuning: Tuning;
  readonly #storage: TuningStorage | undefined;
  readonly #log: LoadContext['log'];
  #known: BestVariants = new Map();

  constructor(tuning: Tuning = 'auto', openStorage: () => TuningStorage | undefined, log: LoadContext['log']) {
    this.#tuning = tuning;
    this.#storage = tuning === 'off' ? undefined : openStorage();
    this.#log = log;
  }

  /** The results of earlier loads on this adapter, unless all kernels are to be tried anew. Never rejects. */
  async bestVariants(adapter: AdapterSummary): Promise<BestVariants> {
    if (this.#storage === undefined || this.#tuning === 'force') return this.#known;
    const reading = readBestVariants(this.#storage, adapterKey(adapter), VERSION).catch(this.#tellOfStorage);
    this.#known = (await Promise.race([reading, sleep(MAX_READ_MS)])) ?? this.#known;
    return this.#known;
  }

  /** Races would keep a software adapter, and with it the page's cores, busy for long: only where they are asked for. */
  start(adapter: AdapterSummary, tunables: readonly Tunable[]): Autotuner {
    const budgetMs = { auto: adapter.isSoftware ? 0 : BUDGET_MS, off: 0, force: Infinity }[this.#tuning];
    const storage = this.#storage;
    const place = { adapter: adapterKey(adapter), version: VERSION };
    return new Autotuner({
      tunables,
      known: this.#known,
      budgetMs,
      save: (key, best) => {
        if (storage !== undefined) keepBestVariant(storage, place, key, best).catch(this.#tellOfStorage);
      },
      log: this.#log,
    });
  }

  #hasTold = false;
  readonly #tellOfStorage = (error: unknown): undefined => {
    if (!this.#hasTold) this.#log('info', `This browser's storage cannot keep how kernels are tuned: ${String(error)}`);
    this.#hasTold = true;
  };
}

/** Another release may have other kernels, another browser another compiler. */
const VERSION = JSON.stringify([BUILD, globalThis.navigator?.userAgent ?? '']);

function adapterKey({ vendor, architecture, device, description, isSoftware, features }: AdapterSummary): string {
  return JSON.stringify([vendor, architecture, device, description, isSoftware, ...features.toSorted()]);
}
