import { TabserveError } from '../core/errors.ts';
import type { IdleSteps, IdleTask } from '../core/idle-task.ts';
import type { KnownVariants } from './known-variants.ts';
import type { BestVariants, Tunable } from './tunable.ts';

export interface KeptVariantsOptions {
  readonly tunables: readonly Tunable[];
  /** The results of earlier loads; undefined where none are to be used. Never rejects. */
  readonly read: (() => Promise<BestVariants>) | undefined;
  readonly variants: KnownVariants;
  /**
   * A software adapter compiles variants only while there are no requests, and only of kernels that it has compiled: see
   * deferred kernels.
   */
  readonly isSoftware: boolean;
  readonly log: (level: 'info', message: string) => void;
}

/**
 * Restores the best variants of earlier loads: compiles each, checks it against the default, and uses it from the next
 * step on. A model begins with its defaults, so that loading compiles nothing twice and no step runs a kernel unchecked: a
 * driver may have changed since the variant was kept.
 */
export class KeptVariants implements IdleTask {
  readonly failure = 'No more kernels of earlier loads are used';
  readonly besideRequests: boolean;
  readonly #options: KeptVariantsOptions;
  /** Undefined until it is known. */
  #left: Tunable[] | undefined;

  constructor(options: KeptVariantsOptions) {
    this.besideRequests = !options.isSoftware;
    this.#options = options;
    if (options.read === undefined) this.#left = [];
  }

  /** Whether no variant of an earlier load waits to be checked. */
  get isDone(): boolean {
    return this.#left !== undefined && this.#due(this.#left).length === 0;
  }

  async run({ shared }: IdleSteps): Promise<void> {
    const left = (this.#left ??= await this.#read());
    for (let [tunable] = this.#due(left); tunable !== undefined; [tunable] = this.#due(left)) {
      const next = tunable;
      const [done] = await shared(() => Promise.allSettled([this.#restore(next)]));
      if (done.status === 'rejected') this.#leaveOut(next, done.reason);
      left.splice(left.indexOf(next), 1);
    }
  }

  #due(left: readonly Tunable[]): readonly Tunable[] {
    return this.#options.isSoftware ? left.filter(({ isReady }) => isReady) : left;
  }

  /** The kernels for which a variant other than the default was kept. */
  async #read(): Promise<Tunable[]> {
    const { tunables, read, variants } = this.#options;
    const known = (await read?.()) ?? new Map();
    variants.learn(known);
    return tunables.filter(({ key, variant }) => (known.get(key)?.variant ?? variant) !== variant);
  }

  /** A variant that is not known any more, or does not compile, is forgotten: the kernel is tried anew. */
  async #restore(tunable: Tunable): Promise<void> {
    const { variants } = this.#options;
    const best = variants.best.get(tunable.key);
    if (best === undefined) return;
    const { variant, defaultMs } = best;
    const trial = await tunable.prepare([variant], new AbortController().signal);
    if (!trial.variants.includes(variant)) {
      variants.forget(tunable.key);
    } else if (await trial.agrees(variant)) {
      trial.use(variant);
    } else {
      // Others may be faster than the default: all but this one are tried again.
      variants.reject(tunable, variant, { variant: tunable.variant, ms: defaultMs, defaultMs, tried: [] });
    }
  }

  #leaveOut({ key, name }: Tunable, error: unknown): void {
    if (error instanceof TabserveError && error.code === 'device_lost') throw error;
    this.#options.variants.forget(key);
    this.#options.log('info', `The default of ${name} stays in use, because the variant of an earlier load cannot be checked: ${String(error)}`);
  }
}
