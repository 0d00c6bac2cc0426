import { TabserveError } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import { type LoadWait, waitFor } from '../core/load-watch.ts';
import type { ResidentModel } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { LoadOptions, ModelInfo } from '../core/protocol.ts';
import type { GpuNeed } from '../runner/gpu-budget.ts';
import { Departures } from './departures.ts';
import type { GpuLease } from './gpu-lease.ts';
import { findRoom, freeBytes } from './gpu-room.ts';
import type { HostSession } from './host-session.ts';
import type { SlotContext } from './model-slot.ts';
import { Resident } from './resident.ts';
import type { LoadModel, ServedModel } from './served-model.ts';

export interface ResidentsOptions {
  readonly loadModel: LoadModel;
  readonly lease: GpuLease;
  readonly log: (sessions: ReadonlySet<HostSession>, level: LogFrame['level'], message: string) => void;
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
export class Residents {
  readonly #options: ResidentsOptions;
  readonly #residents = new Set<Resident>();
  readonly #bySession = new WeakMap<HostSession, Resident>();
  readonly #departures = new Departures(() => this.#afterUse());
  #isLookingAtLoads = false;
  #isLookingRound = false;
  /** Whether another engine waits for the GPU. */
  #isWanted = false;

  constructor(options: ResidentsOptions) {
    this.#options = options;
  }

  /** The model that the session loaded last, whatever has become of it. */
  of(session: HostSession): Resident | undefined {
    return this.#bySession.get(session);
  }

  list(): readonly ResidentModel[] {
    return Array.from(this.#residents, (resident) => resident.summary());
  }

  /** Loads a model, or joins those that have, or are about to. */
  load(session: HostSession, options: LoadOptions, onProgress: (progress: LoadProgress) => void): Promise<ModelInfo> {
    const existing = [...this.#residents].find((resident) => resident.isFor(session, options));
    const before = this.of(session);
    if (before !== existing) before?.leave(session, SWITCHED);
    this.#sweep();
    if (existing !== undefined) this.#unloadUnused(existing);
    const resident = existing ?? this.#start(options);
    this.#bySession.set(session, resident);
    const loading = resident.load(session, onProgress);
    this.#afterUse();
    return loading;
  }

  /** Gives a session back the model that it had in a worker that has died, without loading it. */
  keep(session: HostSession, options: LoadOptions): void {
    const resident = [...this.#residents].find((other) => other.isFor(session, options)) ?? this.#start(options);
    this.#bySession.set(session, resident);
    resident.keepFor(session);
  }

  /** A session has gone. */
  leave(session: HostSession): void {
    this.of(session)?.leave(session);
    this.#bySession.delete(session);
    this.#afterUse();
  }

  #start(options: LoadOptions): Resident {
    const { clock, sleep, log } = this.#options;
    const resident = new Resident(options, {
      load: (one, context) => this.#load(one, context),
      onChange: () => this.#afterUse(),
      isDraining: (one) => this.#isLeaving || this.#othersThan(one).some(({ waitsForRoom }) => waitsForRoom),
      isLeaving: () => this.#isLeaving,
      hasRoom: (one, room) => freeBytes(room.budgetBytes, this.#othersThan(one)) >= room.neededBytes,
      isAlone: (one) => !this.#othersThan(one).some(({ isOnGpu }) => isOnGpu),
      log: ({ sessions }, level, message) => log(sessions, level, message),
      clock,
      sleep,
    });
    this.#residents.add(resident);
    return resident;
  }

  /** One worker of the origin has devices at a time: this one waits for its turn. */
  async #load(resident: Resident, context: SlotContext): Promise<ServedModel> {
    const { watch } = resident.status;
    watch.begin();
    void this.#lookAtLoads();
    try {
      return await this.#loadWatched(resident, context);
    } finally {
      watch.end();
    }
  }

  async #loadWatched(resident: Resident, context: SlotContext): Promise<ServedModel> {
    const { loadModel, lease, clock, log } = this.#options;
    const { watch } = resident.status;
    const { beginWait } = watch;
    const { signal } = context;
    const onProgress: SlotContext['onProgress'] = (progress) => {
      watch.progressed();
      context.onProgress(progress);
    };
    await waitFor(beginWait, LEFT_BEHIND, this.#departures.settled(signal));
    await waitFor(beginWait, LEASE, lease.acquire(() => context.onProgress(WAITING), signal));
    const reserve = async (need: GpuNeed): Promise<number> => {
      this.#unloadUnused(resident); // not before: a file that its header refuses costs no model its place
      await waitFor(beginWait, LEFT_BEHIND, this.#departures.settled(signal));
      signal.throwIfAborted();
      return this.#makeRoom(resident, need);
    };
    const write = (level: LogFrame['level'], message: string): void => log(resident.sessions, level, message);
    const load = (): Promise<ServedModel> =>
      loadModel(resident.options, { onProgress, beginWait, signal, log: write, clock, reserve });
    try {
      return await load();
    } catch (error) {
      signal.throwIfAborted();
      if (!isRefusedByGpu(error) || !this.#unloadIdle(resident)) throw error;
      return load();
    }
  }

  /** Tells the sessions of loads that make no progress, for as long as anything loads. */
  async #lookAtLoads(): Promise<void> {
    if (this.#isLookingAtLoads) return;
    this.#isLookingAtLoads = true;
    for (;;) {
      await this.#options.sleep(LOOK_AT_LOADS_MS);
      const loading = [...this.#residents].filter(({ isLoading }) => isLoading);
      if (loading.length === 0) break;
      for (const resident of loading) {
        const stalled = resident.status.look();
        if (stalled !== undefined) this.#options.log(resident.sessions, 'warn', `"${resident.id}": ${stalled.message}`);
      }
    }
    this.#isLookingAtLoads = false;
  }

  #makeRoom(resident: Resident, need: GpuNeed): number {
    const others = this.#othersThan(resident);
    // What its tabs were told of its context holds when it comes back, where that takes no more than idle models.
    const enoughBytes = Math.min(need.wantedBytes, Math.max(need.enoughBytes, resident.promisedBytes));
    const { grantedBytes, unload } = findRoom({ ...need, enoughBytes }, others);
    for (const other of unload) this.#rest(other, resident);
    resident.gotRoom(grantedBytes);
    this.#afterUse(); // nobody is held up for it any more
    return grantedBytes;
  }

  /** Models that no session has make room for one that comes, whether that needs it or not. */
  #unloadUnused(resident: Resident): void {
    for (const other of this.#residents) if (other !== resident && other.numSessions === 0) other.unload();
    this.#sweep();
  }

  #unloadIdle(resident: Resident): boolean {
    const idle = this.#othersThan(resident).filter(({ isIdle }) => isIdle);
    for (const other of idle) this.#rest(other, resident);
    return idle.length > 0;
  }

  /** Takes an idle model off the GPU for another. */
  #rest(idle: Resident, other: Resident): void {
    const message = `"${idle.id}" is off the GPU to make room for "${other.id}"; its next request loads it again.`;
    this.#options.log(idle.sessions, 'info', message);
    idle.park();
  }

  /** What is not used is given back: models that have gone, the lease without a model, the GPU when another engine waits. */
  #afterUse(): void {
    this.#sweep();
    if (!this.#isOnGpu) return this.#letGo();
    if (this.#isWanted) this.#giveWay();
    for (const resident of this.#residents) resident.resume();
    if (!this.#isLookingRound) void this.#lookRound();
  }

  /** Gives the lease back, unless a load that was given up still has a device: then when that is gone. */
  #letGo(): void {
    if (!this.#departures.isEmpty) return;
    this.#isWanted = false;
    this.#options.lease.release();
    for (const resident of this.#residents) resident.resume();
  }

  #sweep(): void {
    for (const resident of this.#residents) {
      if (!resident.isGone) continue;
      this.#residents.delete(resident);
      this.#departures.add(resident.settled);
    }
  }

  #othersThan(resident: Resident): readonly Resident[] {
    return [...this.#residents].filter((other) => other !== resident);
  }

  /**
   * Whether the GPU is about to be given to another engine. Not while anything loads, which may take long: until that is
   * done, requests are answered as ever.
   */
  get #isLeaving(): boolean {
    return this.#isWanted && ![...this.#residents].some(({ isLoading }) => isLoading);
  }

  get #isOnGpu(): boolean {
    return [...this.#residents].some(({ isOnGpu }) => isOnGpu);
  }

  async #lookRound(): Promise<void> {
    this.#isLookingRound = true;
    while ([...this.#residents].some(({ isLive }) => isLive)) {
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
    const residents = [...this.#residents];
    if (residents.some((resident) => resident.isServing || (resident.isOnGpu && !resident.isLive))) return;
    const message = 'Another engine of this origin has the GPU now; the next request takes it back.';
    for (const resident of residents) {
      if (resident.isLive) this.#options.log(resident.sessions, 'info', message);
      resident.park();
    }
    this.#sweep();
    this.#letGo();
  }
}

/** Whether the GPU itself has less than the budget says. */
function isRefusedByGpu(error: unknown): boolean {
  return error instanceof TabserveError && error.code === 'out_of_memory' && error.details?.budgetBytes === undefined;
}
