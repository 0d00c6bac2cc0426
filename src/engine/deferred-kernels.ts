import { TabserveError } from '../core/errors.ts';
import type { DeferredKernel } from '../core/tuning.ts';
import { AutoResetEvent } from './auto-reset-event.ts';
import type { GpuLock } from './gpu-lock.ts';

export interface DeferredKernelsOptions {
  readonly kernels: readonly DeferredKernel[];
  /** Whether a request runs or waits. */
  readonly isBusy: () => boolean;
  /** Whether it compiles only while there is no request: on a software adapter both want the same cores. */
  readonly whileIdleOnly: boolean;
  /** Nothing is measured while a kernel is compiled. */
  readonly gpuLock: GpuLock;
  readonly log: (level: 'warn', message: string) => void;
}

/** Compiles what a model was ready without, one kernel after the other, the widest first: they carry prompts. */
export class DeferredKernels {
  readonly #options: DeferredKernelsOptions;
  readonly #left: DeferredKernel[];
  readonly #workEvent = new AutoResetEvent();
  readonly #settled: Promise<void>;
  #isStopped = false;

  constructor(options: DeferredKernelsOptions) {
    this.#options = options;
    this.#left = options.kernels.toSorted((a, b) => b.tokens - a.tokens);
    this.#settled = this.#compileAll();
  }

  /** Kernels that are not compiled yet. */
  get numLeft(): number {
    return this.#left.length;
  }

  /** Resolves when all are compiled, or never will be; never rejects. */
  get settled(): Promise<void> {
    return this.#settled;
  }

  /** The engine has nothing to do. */
  onIdle(): void {
    this.#workEvent.set();
  }

  /** Ends it after the kernel under way. */
  stop(): void {
    this.#isStopped = true;
    this.#workEvent.set();
  }

  async #compileAll(): Promise<void> {
    const { isBusy, whileIdleOnly, gpuLock, log } = this.#options;
    if (whileIdleOnly) await this.#workEvent.wait(); // before the engine runs, nobody can have asked for anything
    for (let kernel = this.#left[0]; kernel !== undefined; kernel = this.#left[0]) {
      while (whileIdleOnly && isBusy() && !this.#isStopped) await this.#workEvent.wait();
      const release = await gpuLock.hold();
      try {
        if (this.#isStopped) return;
        await kernel.compile();
      } catch (error) {
        if (this.#isStopped || (error instanceof TabserveError && error.code === 'device_lost')) return;
        log('warn', `A kernel is left out, and others do its work: ${String(error)}`);
      } finally {
        release();
      }
      this.#left.shift();
    }
  }
}
