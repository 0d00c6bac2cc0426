import { TabserveError } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import { type LoadWait, waitFor } from '../core/load-watch.ts';
import type { ResidentModel } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { LoadOptions, ModelInfo } from '../core/protocol.ts';
import type { GpuNeed } from '../runner/gpu-budget.ts';
import { AbandonedLoads } from './abandoned-loads.ts';
import type { GpuLease } from './gpu-lease.ts';
import { planEviction, freeBytes } from './eviction-plan.ts';
import type { ConnectedSession } from './host-session.ts';
import type { LoadAttempt } from './model-lifecycle.ts';
import { ModelInstance } from './model-instance.ts';
import type { LoadModel, ServedModel } from './served-model.ts';

export interface ModelManagerOptions {
  readonly loadModel: LoadModel;
  readonly lease: GpuLease;
  readonly log: (sessions: ReadonlySet<ConnectedSession>, level: LogFrame['level'], message: string) => void;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const WAITING: LoadProgress = { stage: 'wait', bytesDone: 0, bytesTotal: 0, bytesPerSecond: 0, secondsLeft: Infinity };
const SWITCHED = new TabserveError('aborted', 'The model was unloaded: its tab has loaded another one.');

const LEFT_BEHIND: LoadWait = { cause: 'gpu_memory', what: 'memory of the GPU that a load which was given up still has' };
const LEASE: LoadWait = {
  cause: 'gpu_lease',
  what: 'the GPU: another engine of this origin, such as another release of the page, has it until it has answered',
};

/** How often loads are looked at for whether they make progress. */
const LOOK_AT_LOADS_MS = 1000;

/** How often an engine looks whether another one wants the GPU. */
const LOOK_ROUND_MS = 500;

/**
 * The models of this worker, each with a device of its own, and the memory of the GPU between them. A session has one:
 * the last that it loaded. Models that no session has stay until another one is loaded; those that do nothing make
 * room for one that is asked for, and come back with their next request; those that work are left alone.
 *
 * Engines step independently: which of two submits runs first is the GPU's own queue's to say.
 */
export class ModelManager {
  readonly #options: ModelManagerOptions;
  readonly #instances = new Set<ModelInstance>();
  readonly #bySession = new WeakMap<ConnectedSession, ModelInstance>();
  readonly #abandoned = new AbandonedLoads(() => this.#afterUse());
  #isLookingAtLoads = false;
  #isLookingRound = false;
  /** Whether another engine waits for the GPU. */
  #isWanted = false;

  constructor(options: ModelManagerOptions) {
    this.#options = options;
  }

  /** The model that the session loaded last, whatever has become of it. */
  of(session: ConnectedSession): ModelInstance | undefined {
    return this.#bySession.get(session);
  }

  list(): readonly ResidentModel[] {
    return Array.from(this.#instances, (instance) => instance.summary());
  }

  /** Loads a model, or joins those that have, or are about to. */
  load(session: ConnectedSession, options: LoadOptions, onProgress: (progress: LoadProgress) => void): Promise<ModelInfo> {
    const existing = [...this.#instances].find((instance) => instance.isFor(session, options));
    const before = this.of(session);
    if (before !== existing) before?.leave(session, SWITCHED);
    this.#sweep();
    if (existing !== undefined) this.#unloadUnused(existing);
    const instance = existing ?? this.#start(options);
    this.#bySession.set(session, instance);
    const loading = instance.load(session, onProgress);
    this.#afterUse();
    return loading;
  }

  /** Gives a session back the model that it had in a worker that has died, without loading it. */
  keep(session: ConnectedSession, options: LoadOptions): void {
    const instance = [...this.#instances].find((other) => other.isFor(session, options)) ?? this.#start(options);
    this.#bySession.set(session, instance);
    instance.keepFor(session);
  }

  /** A session has gone. */
  leave(session: ConnectedSession): void {
    this.of(session)?.leave(session);
    this.#bySession.delete(session);
    this.#afterUse();
  }

  #start(options: LoadOptions): ModelInstance {
    const { clock, sleep, log } = this.#options;
    const instance = new ModelInstance(options, {
      load: (one, context) => this.#load(one, context),
      onChange: () => this.#afterUse(),
      isDraining: (one) => this.#isLeaving || this.#othersThan(one).some(({ waitsForMemory }) => waitsForMemory),
      isLeaving: () => this.#isLeaving,
      hasMemory: (one, need) => freeBytes(need.budgetBytes, this.#othersThan(one)) >= need.neededBytes,
      isAlone: (one) => !this.#othersThan(one).some(({ isOnGpu }) => isOnGpu),
      log: ({ sessions }, level, message) => log(sessions, level, message),
      clock,
      sleep,
    });
    this.#instances.add(instance);
    return instance;
  }

  /** One worker of the origin has devices at a time: this one waits for its turn. */
  async #load(instance: ModelInstance, context: LoadAttempt): Promise<ServedModel> {
    const { watch } = instance.status;
    watch.begin();
    void this.#lookAtLoads();
    try {
      return await this.#loadWatched(instance, context);
    } finally {
      watch.end();
    }
  }

  async #loadWatched(instance: ModelInstance, context: LoadAttempt): Promise<ServedModel> {
    const { loadModel, lease, clock, log } = this.#options;
    const { watch } = instance.status;
    const { beginWait } = watch;
    const { signal } = context;
    const onProgress: LoadAttempt['onProgress'] = (progress) => {
      watch.progressed();
      context.onProgress(progress);
    };
    await waitFor(beginWait, LEFT_BEHIND, this.#abandoned.settled(signal));
    await waitFor(beginWait, LEASE, lease.acquire(() => context.onProgress(WAITING), signal));
    const reserve = async (need: GpuNeed): Promise<number> => {
      this.#unloadUnused(instance); // not before: a file that its header refuses costs no model its place
      await waitFor(beginWait, LEFT_BEHIND, this.#abandoned.settled(signal));
      signal.throwIfAborted();
      return this.#evictFor(instance, need);
    };
    const write = (level: LogFrame['level'], message: string): void => log(instance.sessions, level, message);
    const load = (): Promise<ServedModel> =>
      loadModel(instance.options, { onProgress, beginWait, signal, log: write, clock, reserve });
    try {
      return await load();
    } catch (error) {
      signal.throwIfAborted();
      if (!isRefusedByGpu(error) || !this.#evictIdle(instance)) throw error;
      return load();
    }
  }

  /** Tells the sessions of loads that make no progress, for as long as anything loads. */
  async #lookAtLoads(): Promise<void> {
    if (this.#isLookingAtLoads) return;
    this.#isLookingAtLoads = true;
    for (;;) {
      await this.#options.sleep(LOOK_AT_LOADS_MS);
      const loading = [...this.#instances].filter(({ isLoading }) => isLoading);
      if (loading.length === 0) break;
      for (const instance of loading) {
        const stalled = instance.status.look();
        if (stalled !== undefined) this.#options.log(instance.sessions, 'warn', `"${instance.id}": ${stalled.message}`);
      }
    }
    this.#isLookingAtLoads = false;
  }

  #evictFor(instance: ModelInstance, need: GpuNeed): number {
    const others = this.#othersThan(instance);
    // What its tabs were told of its context holds when it comes back, where that takes no more than idle models.
    const enoughBytes = Math.min(need.wantedBytes, Math.max(need.enoughBytes, instance.reservedBytes));
    const { grantedBytes, unload } = planEviction({ ...need, enoughBytes }, others);
    for (const other of unload) this.#evict(other, instance);
    instance.reserve(grantedBytes);
    this.#afterUse(); // nobody is held up for it any more
    return grantedBytes;
  }

  /** Models that no session has make room for one that comes, whether that needs it or not. */
  #unloadUnused(instance: ModelInstance): void {
    for (const other of this.#instances) if (other !== instance && other.numSessions === 0) other.close();
    this.#sweep();
  }

  #evictIdle(instance: ModelInstance): boolean {
    const idle = this.#othersThan(instance).filter(({ isIdle }) => isIdle);
    for (const other of idle) this.#evict(other, instance);
    return idle.length > 0;
  }

  /** Takes an idle model off the GPU for another. */
  #evict(idle: ModelInstance, other: ModelInstance): void {
    const message = `"${idle.id}" is off the GPU to make room for "${other.id}"; its next request loads it again.`;
    this.#options.log(idle.sessions, 'info', message);
    idle.unload();
  }

  /** What is not used is given back: models that have gone, the lease without a model, the GPU when another engine waits. */
  #afterUse(): void {
    this.#sweep();
    if (!this.#isOnGpu) return this.#letGo();
    if (this.#isWanted) this.#giveWay();
    for (const instance of this.#instances) instance.resume();
    if (!this.#isLookingRound) void this.#lookRound();
  }

  /** Gives the lease back, unless a load that was given up still has a device: then when that is gone. */
  #letGo(): void {
    if (!this.#abandoned.isEmpty) return;
    this.#isWanted = false;
    this.#options.lease.release();
    for (const instance of this.#instances) instance.resume();
  }

  #sweep(): void {
    for (const instance of this.#instances) {
      if (!instance.isGone) continue;
      this.#instances.delete(instance);
      this.#abandoned.add(instance.settled);
    }
  }

  #othersThan(instance: ModelInstance): readonly ModelInstance[] {
    return [...this.#instances].filter((other) => other !== instance);
  }

  /**
   * Whether the GPU is about to be given to another engine. Not while anything loads, which may take long: until that is
   * done, requests are answered as ever.
   */
  get #isLeaving(): boolean {
    return this.#isWanted && ![...this.#instances].some(({ isLoading }) => isLoading);
  }

  get #isOnGpu(): boolean {
    return [...this.#instances].some(({ isOnGpu }) => isOnGpu);
  }

  async #lookRound(): Promise<void> {
    this.#isLookingRound = true;
    while ([...this.#instances].some(({ isLive }) => isLive)) {
      this.#isWanted = await this.#options.lease.isWanted();
      this.#afterUse(); // it waits, or who waited has given up
      await this.#options.sleep(LOOK_ROUND_MS);
    }
    this.#isLookingRound = false;
  }

  /**
   * The other engine has its turn once nothing runs or loads here; requests that have come since it asked for it wait for
   * the next one of this engine.
   */
  #giveWay(): void {
    const instances = [...this.#instances];
    if (instances.some((instance) => instance.isServing || (instance.isOnGpu && !instance.isLive))) return;
    const message = 'Another engine of this origin has the GPU now; the next request takes it back.';
    for (const instance of instances) {
      if (instance.isLive) this.#options.log(instance.sessions, 'info', message);
      instance.unload();
    }
    this.#sweep();
    this.#letGo();
  }
}

/** Whether the GPU itself has less than the budget says. */
function isRefusedByGpu(error: unknown): boolean {
  return error instanceof TabserveError && error.code === 'out_of_memory' && error.details?.budgetBytes === undefined;
}
