import { TabserveError } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import { type LoadWait, waitFor } from '../core/load-watch.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { LoadOptions } from '../core/protocol.ts';
import type { GpuNeed } from '../runner/gpu-budget.ts';
import { AbandonedLoads } from './abandoned-loads.ts';
import { freeBytes, planEviction } from './eviction-plan.ts';
import type { GpuLease } from './gpu-lease.ts';
import { KeepAlive } from './keep-alive.ts';
import { hasSettings, sourceKey } from './model-identity.ts';
import { ModelInstance } from './model-instance.ts';
import type { LoadAttempt } from './model-lifecycle.ts';
import type { LoadContext, LoadModel, ServedModel } from './served-model.ts';
import type { ConnectedSession } from './session-registry.ts';
import { StallReporter } from './stall-reporter.ts';

export interface ModelPoolOptions {
  readonly loadModel: LoadModel;
  readonly lease: GpuLease;
  readonly log: (level: LogFrame['level'], message: string, sessions: Iterable<ConnectedSession>) => void;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const WAITING: LoadProgress = { stage: 'wait', bytesDone: 0, bytesTotal: 0, bytesPerSecond: 0, secondsLeft: Infinity };

const ABANDONED: LoadWait = { cause: 'gpu_memory', what: 'memory of the GPU that a load which was given up still has' };
const LEASE: LoadWait = {
  cause: 'gpu_lease',
  what: 'the GPU: another engine of this origin, such as another release of the page, has it until it has answered',
};

/**
 * The models of this worker, each with a GPU device of its own. They share the GPU's memory, and take turns on the GPU
 * with other engines of the origin. Models without a session stay until another one is loaded. Idle models are evicted for
 * one that needs their memory, and are loaded again with their next request. Models at work are left alone.
 *
 * Engines step independently: the GPU's own queue orders their submits.
 */
export class ModelPool {
  readonly instances: ReadonlySet<ModelInstance>;
  readonly #options: ModelPoolOptions;
  readonly #instances = new Set<ModelInstance>();
  readonly #abandoned = new AbandonedLoads(() => this.update());
  readonly #stallReporter: StallReporter;
  readonly #keepAlive: KeepAlive;

  constructor(options: ModelPoolOptions) {
    this.#options = options;
    this.instances = this.#instances;
    const { sleep } = options;
    this.#stallReporter = new StallReporter({ instances: this.#instances, sleep, log: (...line) => this.#log(...line) });
    this.#keepAlive = new KeepAlive({ sleep, onExpired: (instance) => this.#expire(instance) });
  }

  /**
   * The instance of the model that the session asks for, if there is one. It must have the settings that are asked for,
   * unless other sessions have it: then theirs have to do.
   */
  find(session: ConnectedSession, options: LoadOptions): ModelInstance | undefined {
    const key = sourceKey(options);
    return [...this.#instances].find(({ lifecycle, options: loaded, sessions }) => {
      if (lifecycle.isClosed || sourceKey(loaded) !== key) return false;
      return [...sessions].some((other) => other !== session) || hasSettings(loaded, options);
    });
  }

  /** A new instance, which nothing has been done for yet. */
  create(options: LoadOptions): ModelInstance {
    const { clock, sleep } = this.#options;
    const instance = new ModelInstance(options, {
      load: (one, attempt) => this.#load(one, attempt),
      onChange: () => this.update(),
      isDraining: (one) => this.#isLeaving || this.#othersThan(one).some(({ neededMemory }) => neededMemory !== undefined),
      isLeaving: () => this.#isLeaving,
      hasMemory: (one, need) => freeBytes(need.budgetBytes, this.#othersThan(one)) >= need.neededBytes,
      isAlone: (one) => !this.#othersThan(one).some(({ lifecycle }) => lifecycle.isOnGpu),
      log: (...line) => this.#log(...line),
      clock,
      sleep,
    });
    this.#instances.add(instance);
    return instance;
  }

  /** Closes all other instances without a session, whether their memory is needed or not. */
  closeUnused(instance: ModelInstance): void {
    for (const other of this.#instances) if (other !== instance && other.numSessions === 0) other.close();
    this.sweep();
  }

  /** Forgets closed instances. Loads that were given up are waited for. */
  sweep(): void {
    for (const instance of this.#instances) {
      const { state } = instance.lifecycle;
      if (state.name !== 'closed') continue;
      this.#instances.delete(instance);
      this.#abandoned.add(state.settled);
    }
  }

  /** Called whenever a load, a request or a session has begun or ended, and when a tab was hidden or shown: gives back what is not used, and resumes what can go on. */
  update(): void {
    this.sweep();
    for (const instance of this.#instances) instance.updateVisibility();
    this.#keepAlive.update(this.#instances);
    if (![...this.#instances].some(({ lifecycle }) => lifecycle.isOnGpu)) return this.#release();
    if (this.#options.lease.isWanted) this.#giveWay();
    for (const instance of this.#instances) instance.resume();
  }

  async #load(instance: ModelInstance, attempt: LoadAttempt): Promise<ServedModel> {
    const { watch } = instance.sessions;
    watch.begin();
    void this.#stallReporter.start();
    try {
      return await this.#loadWatched(instance, attempt);
    } finally {
      watch.end();
    }
  }

  /** One worker of the origin has devices at a time: this one waits for the lease. */
  async #loadWatched(instance: ModelInstance, { onProgress, signal }: LoadAttempt): Promise<ServedModel> {
    const { loadModel, lease, clock } = this.#options;
    const { watch } = instance.sessions;
    const { beginWait } = watch;
    await waitFor(beginWait, ABANDONED, this.#abandoned.settled(signal));
    await waitFor(beginWait, LEASE, lease.acquire(() => onProgress(WAITING), signal));
    const context: LoadContext = {
      onProgress: (progress) => {
        watch.progressed();
        onProgress(progress);
      },
      beginWait,
      signal,
      log: (level, message) => this.#log(instance, level, message),
      clock,
      visibleClock: instance.visibleClock,
      reserve: async (need) => {
        this.closeUnused(instance); // not before: a file that its header refuses costs no model its place
        await waitFor(beginWait, ABANDONED, this.#abandoned.settled(signal));
        signal.throwIfAborted();
        return this.#reserve(instance, need);
      },
    };
    try {
      return await loadModel(instance.options, context);
    } catch (error) {
      signal.throwIfAborted();
      if (!isRefusedByGpu(error) || !this.#evictIdle(instance)) throw error;
      return loadModel(instance.options, context);
    }
  }

  #reserve(instance: ModelInstance, need: GpuNeed): number {
    // Its tabs know the context that it had. It gets that again, where no model at work is in the way.
    const enoughBytes = Math.min(need.wantedBytes, Math.max(need.enoughBytes, instance.reservedBytes));
    const { grantedBytes, unload } = planEviction({ ...need, enoughBytes }, this.#othersThan(instance));
    for (const other of unload) this.#evict(other, instance);
    instance.reserve(grantedBytes);
    this.update(); // requests that were held back for it go on
    return grantedBytes;
  }

  /** Returns whether there was any idle model. */
  #evictIdle(instance: ModelInstance): boolean {
    const idle = this.#othersThan(instance).filter(({ isIdle }) => isIdle);
    for (const other of idle) this.#evict(other, instance);
    return idle.length > 0;
  }

  /** Takes an idle model off the GPU for another. */
  #evict(idle: ModelInstance, other: ModelInstance): void {
    this.#log(idle, 'info', `"${idle.id}" is off the GPU to make room for "${other.id}"; its next request loads it again.`);
    idle.unload();
  }

  /** Takes a model off the GPU that is out of use. */
  #expire(instance: ModelInstance): void {
    this.#log(instance, 'info', `"${instance.id}" is off the GPU: its tabs are hidden and ask nothing. Its next request loads it again.`);
    instance.unload();
    this.update();
  }

  /** Gives the lease back. Where a load that was given up still has a device, that waits until the device is gone. */
  #release(): void {
    if (!this.#abandoned.isEmpty) return;
    this.#options.lease.release();
    for (const instance of this.#instances) instance.resume();
  }

  /**
   * Whether another engine gets the GPU next. Not while anything loads, which may take long: until then requests are
   * answered as ever.
   */
  get #isLeaving(): boolean {
    return this.#options.lease.isWanted && ![...this.#instances].some(({ lifecycle }) => lifecycle.isLoading);
  }

  /**
   * Gives the GPU to another engine once nothing runs or loads here. Requests that came after the other engine asked wait
   * until this one has it again.
   */
  #giveWay(): void {
    const instances = [...this.#instances];
    if (instances.some(({ isBusy, lifecycle }) => isBusy || lifecycle.isLoading)) return;
    const message = 'Another engine of this origin has the GPU now; the next request takes it back.';
    for (const instance of instances) {
      if (instance.lifecycle.model !== undefined) this.#log(instance, 'info', message);
      instance.unload();
    }
    this.sweep();
    this.#release();
  }

  #othersThan(instance: ModelInstance): readonly ModelInstance[] {
    return [...this.#instances].filter((other) => other !== instance);
  }

  #log({ sessions }: ModelInstance, level: LogFrame['level'], message: string): void {
    this.#options.log(level, message, sessions);
  }
}

/** Whether the GPU itself has less memory than the budget allows. */
function isRefusedByGpu(error: unknown): boolean {
  return error instanceof TabserveError && error.code === 'out_of_memory' && error.details?.budgetBytes === undefined;
}
