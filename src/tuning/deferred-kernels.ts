import { TabserveError } from '../core/errors.ts';
import type { IdleSteps, IdleTask } from '../core/idle-task.ts';
import type { DeferredKernel } from './tunable.ts';

export interface DeferredKernelsOptions {
  readonly kernels: readonly DeferredKernel[];
  /** Whether kernels are also compiled while there are requests. Not on a software adapter: both want the same cores. */
  readonly besideRequests: boolean;
  readonly log: (level: 'warn', message: string) => void;
}

/** Compiles the kernels that a model is ready without, one after the other, the widest first: they carry prompts. */
export class DeferredKernels implements IdleTask {
  readonly failure = 'No more kernels are compiled';
  readonly besideRequests: boolean;
  readonly #left: DeferredKernel[];
  readonly #log: DeferredKernelsOptions['log'];

  constructor({ kernels, besideRequests, log }: DeferredKernelsOptions) {
    this.besideRequests = besideRequests;
    this.#left = kernels.toSorted((a, b) => b.tokens - a.tokens);
    this.#log = log;
  }

  /** Kernels that are not compiled yet. */
  get numLeft(): number {
    return this.#left.length;
  }

  async run({ shared }: IdleSteps): Promise<void> {
    for (let kernel = this.#left[0]; kernel !== undefined; kernel = this.#left[0]) {
      const next = kernel;
      const [compiled] = await shared(() => Promise.allSettled([next.compile()]));
      if (compiled.status === 'rejected') this.#leaveOut(compiled.reason);
      this.#left.shift();
    }
  }

  #leaveOut(error: unknown): void {
    if (error instanceof TabserveError && error.code === 'device_lost') throw error;
    this.#log('warn', `A kernel is left out, and others do its work: ${String(error)}`);
  }
}
