import { TabserveError } from '../core/errors.ts';
import type { IdleSteps, IdleTask } from '../core/idle-task.ts';
import type { DeferredKernel } from './tunable.ts';

/**
 * The dispatches that a deferred kernel has missed before a software adapter compiles it: a guess. Compiling takes as long as
 * several dispatches of a small model, and a kernel that is missed more rarely saves less than that.
 */
export const MIN_MISSED_ON_SOFTWARE = 64;

export interface DeferredKernelsOptions {
  readonly kernels: readonly DeferredKernel[];
  /**
   * A software adapter compiles a kernel only if steps have missed it, and only while there are no requests: all share
   * the same cores. A GPU's driver compiles all of them beside requests.
   */
  readonly isSoftware: boolean;
  readonly log: (level: 'warn', message: string) => void;
}

/** Compiles the kernels that a model is ready without, one after the other, the widest first: they carry prompts. */
export class DeferredKernels implements IdleTask {
  readonly failure = 'No more kernels are compiled';
  readonly besideRequests: boolean;
  readonly #minMissed: number;
  readonly #log: DeferredKernelsOptions['log'];
  #left: readonly DeferredKernel[];

  constructor({ kernels, isSoftware, log }: DeferredKernelsOptions) {
    this.besideRequests = !isSoftware;
    this.#minMissed = isSoftware ? MIN_MISSED_ON_SOFTWARE : 0;
    this.#left = kernels.toSorted((a, b) => b.tokens - a.tokens);
    this.#log = log;
  }

  /** Kernels that are to be compiled as soon as there is time. */
  get numDue(): number {
    return this.#due().length;
  }

  async run({ shared }: IdleSteps): Promise<void> {
    for (let [kernel] = this.#due(); kernel !== undefined; [kernel] = this.#due()) {
      const next = kernel;
      const [compiled] = await shared(() => Promise.allSettled([next.compile()]));
      if (compiled.status === 'rejected') this.#leaveOut(compiled.reason);
      this.#left = this.#left.filter((other) => other !== next);
    }
  }

  #due(): readonly DeferredKernel[] {
    return this.#left.filter(({ numMissed }) => numMissed >= this.#minMissed);
  }

  #leaveOut(error: unknown): void {
    if (error instanceof TabserveError && error.code === 'device_lost') throw error;
    this.#log('warn', `A kernel is left out, and others do its work: ${String(error)}`);
  }
}
