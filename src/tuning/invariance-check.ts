import type { Invariance } from '../core/invariance.ts';
import type { IdleSteps, IdleTask } from '../core/idle-task.ts';
import { shortHash } from '../storage/short-hash.ts';
import type { KernelWidths } from './tunable.ts';

export interface InvarianceCheckOptions {
  readonly widths: readonly KernelWidths[];
  /** Whether this adapter is measured where nothing is known of it. */
  readonly isMeasured: boolean;
  /** The names of the kernels that failed at an earlier load, by the hash of all kernels; undefined where none was. Never rejects. */
  readonly read: (kernels: string) => Promise<readonly string[] | undefined>;
  readonly save: (kernels: string, failed: readonly string[]) => void;
  /** Called while there is no request, when a kernel has failed: what was computed before may have other bits. */
  readonly onFailure: () => void;
  /** Names the adapter in a message. */
  readonly adapter: string;
  readonly log: (level: 'info' | 'warn', message: string) => void;
}

/**
 * Measures whether kernels give the same bits in all of their widths, once for each adapter and each model's kernels. Each
 * comparison is an exclusive step of some milliseconds. Where a kernel fails, its narrowest width takes all rows from then on.
 */
export class InvarianceCheck implements IdleTask {
  readonly failure = 'Whether answers depend on the batch is not known';
  readonly #options: InvarianceCheckOptions;
  #result: Invariance = { state: 'unverified' };

  constructor(options: InvarianceCheckOptions) {
    this.#options = options;
  }

  result(): Invariance {
    return this.#result;
  }

  async run(steps: IdleSteps): Promise<void> {
    const { widths, isMeasured, read, save } = this.#options;
    if (widths.length === 0 || this.#result.state !== 'unverified') return;
    const kernels = shortHash(JSON.stringify(widths.map(({ key }) => key)));
    const known = await read(kernels);
    if (known === undefined && !isMeasured) return;
    const failed = known ?? (await this.#measure(steps));
    const wrong = widths.filter(({ name }) => failed.includes(name));
    if (wrong.length > 0) await steps.exclusive(async () => this.#useNarrowest(wrong));
    this.#result = wrong.length > 0 ? { state: 'failed', kernels: [...new Set(failed)] } : { state: 'verified' };
    if (known === undefined) save(kernels, failed);
    this.#report();
  }

  /** @returns the names of kernels that fail */
  async #measure({ shared, exclusive }: IdleSteps): Promise<readonly string[]> {
    const failed: string[] = [];
    for (const widths of this.#options.widths) {
      await shared(() => widths.prepare());
      for (const compare of widths.comparisons) {
        if (await exclusive(() => compare())) continue;
        failed.push(widths.name);
        break;
      }
    }
    return failed;
  }

  #useNarrowest(wrong: readonly KernelWidths[]): void {
    for (const widths of wrong) widths.useNarrowest();
    this.#options.onFailure();
  }

  #report(): void {
    const { log, adapter } = this.#options;
    if (this.#result.state !== 'failed') return;
    const kernels = this.#result.kernels.join(', ');
    log('warn', `Kernels give other bits for several tokens at once than for one on this GPU (${adapter}). They take one width from now on, which is slower: ${kernels}.`);
  }
}
