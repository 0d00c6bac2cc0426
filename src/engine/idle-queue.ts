import { TabserveError } from '../core/errors.ts';
import type { IdleSteps, IdleTask } from '../core/idle-task.ts';
import type { VisibleClock } from '../core/visible-clock.ts';
import type { GpuLock } from './gpu-lock.ts';

export interface IdleQueueOptions {
  /** Whether a request runs or waits. */
  readonly isBusy: () => boolean;
  readonly gpuLock: GpuLock;
  /** Whether a tab of the model is visible. @default always */
  readonly visibleClock?: Pick<VisibleClock, 'isVisible' | 'onChange'>;
  readonly log: (level: 'info', message: string) => void;
}

interface Entry {
  readonly task: IdleTask;
  /** Whether an idle moment has come since its last run began. */
  isDue: boolean;
  isRunning: boolean;
}

/**
 * All work of one engine that waits for moments without requests: keeping prefixes, compiling deferred kernels, tuning,
 * measuring. Requests come first: no step begins while one runs or waits, unless its task allows that.
 *
 * Shared steps of several tasks run beside each other. An exclusive step waits until the tasks added before its own have
 * nothing to do, and until no engine of the worker uses the GPU.
 */
export class IdleQueue {
  readonly #options: IdleQueueOptions;
  readonly #entries: Entry[] = [];
  readonly #stopped = new AbortController();
  /** Called at every change that a step or {@link settled} may wait for. */
  #waiters: (() => void)[] = [];

  constructor(options: IdleQueueOptions) {
    this.#options = options;
    options.visibleClock?.onChange(() => this.#notify(), this.#stopped.signal);
  }

  add(task: IdleTask): void {
    const entry = { task, isDue: false, isRunning: false };
    this.#entries.push(entry);
    if (task.besideRequests === true) void this.#run(entry);
  }

  /** To be called whenever the engine has nothing to do. */
  onIdle(): void {
    for (const entry of this.#entries) void this.#run(entry);
    this.#notify();
  }

  /** Whether nobody uses the GPU, so that {@link measure} would begin at once. */
  get isGpuFree(): boolean {
    return this.#options.gpuLock.numHolders === 0;
  }

  /** Runs one exclusive step ahead of the tasks. @throws what the step throws, and `closed` after {@link stop} */
  measure<T>(step: () => Promise<T>): Promise<T> {
    return this.#options.gpuLock.exclusive(step, this.#stopped.signal);
  }

  /** Resolves when no task runs. */
  async settled(): Promise<void> {
    while (this.#entries.some(({ isRunning }) => isRunning)) await this.#change();
  }

  /** Ends each task after its step under way. Resolves when all have ended. */
  stop(): Promise<void> {
    this.#stopped.abort(new TabserveError('closed', 'The model has been unloaded from the GPU.'));
    this.#notify();
    return this.settled();
  }

  async #run(entry: Entry): Promise<void> {
    entry.isDue = true;
    if (entry.isRunning) return;
    entry.isRunning = true;
    const { task } = entry;
    try {
      while (entry.isDue && !this.#stopped.signal.aborted) {
        entry.isDue = false;
        await task.run(this.#stepsOf(entry));
      }
    } catch (error) {
      this.#entries.splice(this.#entries.indexOf(entry), 1);
      const isExpected = this.#stopped.signal.aborted || (error instanceof TabserveError && error.code === 'device_lost');
      if (!isExpected) this.#options.log('info', `${task.failure}: ${String(error)}`);
    }
    entry.isRunning = false;
    this.#notify();
  }

  #stepsOf(entry: Entry): IdleSteps {
    const { gpuLock, visibleClock } = this.#options;
    const { signal } = this.#stopped;
    const isIdle = (): boolean => !this.#options.isBusy();
    const isSeen = (): boolean => entry.task.needsVisibleTab !== true || visibleClock?.isVisible !== false;
    const mayShare = (): boolean => isSeen() && (entry.task.besideRequests === true || isIdle());
    const isFirst = (): boolean => this.#entries.slice(0, this.#entries.indexOf(entry)).every(({ isRunning }) => !isRunning);
    const mayMeasure = (): boolean => isSeen() && isIdle() && isFirst();
    return {
      shared: (step) => this.#step(mayShare, (run) => gpuLock.shared(run), step),
      exclusive: (step) => this.#step(mayMeasure, (run) => gpuLock.exclusive(run, signal), step),
    };
  }

  async #step<T>(
    isTurn: () => boolean,
    withGpu: <R>(run: () => Promise<R>) => Promise<R>,
    step: () => Promise<T>,
  ): Promise<T> {
    const { signal } = this.#stopped;
    for (;;) {
      while (!signal.aborted && !isTurn()) await this.#change();
      const done = await withGpu(async () => {
        signal.throwIfAborted();
        return isTurn() ? { result: await step() } : undefined; // not if that has changed while it waited for the GPU
      });
      signal.throwIfAborted();
      if (done !== undefined) return done.result;
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #notify(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
