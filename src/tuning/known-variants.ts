import type { RejectedVariant } from '../core/tuning.ts';
import type { BestVariant, BestVariants, Tunable } from './tunable.ts';

export interface KnownVariantsOptions {
  /** Keeps a result for later loads. */
  readonly save: (key: string, best: BestVariant) => void;
  /** Names the adapter in a message. */
  readonly adapter: string;
  readonly log: (level: 'warn', message: string) => void;
}

/** The results of trials and checks, shared by the idle work of one load. */
export class KnownVariants {
  readonly #options: KnownVariantsOptions;
  readonly #best = new Map<string, BestVariant>();
  readonly #rejected: RejectedVariant[] = [];

  constructor(options: KnownVariantsOptions) {
    this.#options = options;
  }

  get best(): BestVariants {
    return this.#best;
  }

  get rejected(): readonly RejectedVariant[] {
    return this.#rejected;
  }

  /** Adds the results of earlier loads. */
  learn(known: BestVariants): void {
    for (const [key, best] of known) this.#best.set(key, best);
  }

  keep(key: string, best: BestVariant): void {
    this.#best.set(key, best);
    this.#options.save(key, best);
  }

  /** Its kernel is to be tried anew in this load. */
  forget(key: string): void {
    this.#best.delete(key);
  }

  /**
   * Reports a variant that gave other bits than the default. It is not tried again, at later loads either.
   * @param best what is known of its kernel's others. @default the result of earlier trials
   */
  reject({ key, name, tokens, variant: inUse }: Tunable, variant: string, best = this.#best.get(key)): void {
    this.#rejected.push({ kernel: name, variant });
    const known = best ?? { variant: inUse, ms: 1, defaultMs: 1, tried: [] };
    this.keep(key, { ...known, tried: [...known.tried, variant] });
    const { log, adapter } = this.#options;
    const what = `${name} for up to ${tokens} tokens, ${variant}`;
    log('warn', `A variant of a kernel gives wrong numbers on this GPU (${adapter}) and is not used: ${what}.`);
  }
}
