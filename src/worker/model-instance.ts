import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import type { ModelState, ResidentModel } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { GenerateRequest, LoadOptions, ModelInfo, Queued } from '../core/protocol.ts';
import { RecoveryPolicy, statusOf } from '../core/recovery.ts';
import type { EngineSnapshot } from '../core/snapshot.ts';
import { VisibleClock } from '../core/visible-clock.ts';
import type { MemoryHolder } from './eviction-plan.ts';
import { firstLoad } from './first-load.ts';
import { modelId, modelUrl } from './model-identity.ts';
import { type LoadAttempt, ModelLifecycle } from './model-lifecycle.ts';
import { metricsOf, type ModelMetrics } from './model-metrics.ts';
import { ModelRequests } from './model-requests.ts';
import { ModelSessions } from './model-sessions.ts';
import { LOST, type NeededMemory, Reloader } from './reloader.ts';
import type { ServedModel } from './served-model.ts';
import type { ConnectedSession } from './session-registry.ts';
import { SnapshotAnonymizer } from './snapshot-anonymizer.ts';

/** The pool, as an instance sees it. */
export interface ModelInstanceContext {
  readonly load: (instance: ModelInstance, attempt: LoadAttempt) => Promise<ServedModel>;
  /** A request or a load has begun or ended. */
  readonly onChange: () => void;
  /** Whether another engine, or another model, waits for the GPU. Running requests finish then, and new ones wait. */
  readonly isDraining: (instance: ModelInstance) => boolean;
  /** Whether another engine gets the GPU next. Nothing more is loaded before that. */
  readonly isLeaving: () => boolean;
  /** Whether models at work leave it this much memory. */
  readonly hasMemory: (instance: ModelInstance, need: NeededMemory) => boolean;
  /** Whether no other model is on the GPU. */
  readonly isAlone: (instance: ModelInstance) => boolean;
  readonly log: (instance: ModelInstance, level: LogFrame['level'], message: string) => void;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * A model of this worker: the sessions that have it, its engine on a GPU device of its own, and their requests.
 *
 * An engine can be lost, with its GPU. A request cannot: those that have not ended are kept here with their tokens. The
 * next engine computes their KV anew and goes on at the next token. Sampling depends on seed, choice and position only, and
 * a row's numbers do not depend on how they were computed, so the text is the same.
 */
export class ModelInstance implements MemoryHolder {
  readonly options: LoadOptions;
  readonly id: string;
  readonly url: string | undefined;
  readonly lifecycle: ModelLifecycle;
  readonly sessions: ModelSessions;
  /** Goes on while a tab of its own is visible. */
  readonly visibleClock: VisibleClock;
  /** GPU memory that it may take; while it is not on the GPU, what it had when it was. */
  reservedBytes = 0;
  /** Engine-clock milliseconds of its last load, request or token. */
  lastUsed: number;
  readonly #context: ModelInstanceContext;
  readonly #recovery = new RecoveryPolicy();
  readonly #reloader: Reloader;
  readonly #requests: ModelRequests;
  /** How many sessions wait for a load. */
  #numLoading = 0;
  readonly #anonymizer = new SnapshotAnonymizer();

  constructor(options: LoadOptions, context: ModelInstanceContext) {
    this.options = options;
    this.id = modelId(options);
    this.url = modelUrl(options);
    this.lastUsed = context.clock();
    this.sessions = new ModelSessions(context.clock);
    this.visibleClock = new VisibleClock(context.clock);
    this.lifecycle = new ModelLifecycle({
      load: (attempt) => {
        const load = (): Promise<ServedModel> => context.load(this, attempt);
        if (this.lifecycle.state.name === 'unloaded') return load();
        const warn = (message: string): void => context.log(this, 'warn', message);
        return firstLoad(load, { signal: attempt.signal, sleep: context.sleep, warn });
      },
      onReady: (model, stop) => this.#serve(model, stop),
    });
    const engine = () => (context.isDraining(this) ? undefined : this.lifecycle.model?.engine);
    this.#requests = new ModelRequests(context.clock, engine, () => {
      this.resume();
      context.onChange();
    });
    this.#reloader = new Reloader({
      load: () => this.lifecycle.load(),
      isNeeded: ({ code }) => this.numRequests > 0 || (this.#numLoading > 0 && code === 'device_lost'),
      isAlone: () => context.isAlone(this),
      onAttempt: (attempt) => this.sessions.setStatus(statusOf(attempt)),
      onGivenUp: (error) => this.#end(error),
      onOver: () => {
        this.sessions.setReady();
        context.onChange();
      },
      sleep: context.sleep,
    });
    this.#context = context;
  }

  get gpuBytes(): number {
    return this.lifecycle.isOnGpu ? this.reservedBytes : 0;
  }

  get numSessions(): number {
    return this.sessions.size;
  }

  get numRequests(): number {
    return this.#requests.size;
  }

  /** Whether its engine works on a request. */
  get isBusy(): boolean {
    return this.#requests.isRunning;
  }

  get isIdle(): boolean {
    return this.lifecycle.model !== undefined && !this.isBusy;
  }

  /** Memory that it waits for beside other models, if it does. */
  get neededMemory(): NeededMemory | undefined {
    return this.#reloader.neededMemory;
  }

  /**
   * Loads the model for a session, or waits for the load under way. A GPU that is lost meanwhile does not fail it.
   * @param persists whether the session's requests may be kept in storage
   */
  async load(session: ConnectedSession, persists: boolean, onProgress: (progress: LoadProgress) => void): Promise<ModelInfo> {
    this.lastUsed = this.#context.clock();
    if (this.lifecycle.state.name === 'unloaded') this.#reloader.reload();
    this.sessions.add(session, persists);
    this.#numLoading++;
    try {
      return (await this.#loaded(onProgress)).info;
    } finally {
      this.#numLoading--;
      this.#context.onChange();
    }
  }

  async #loaded(onProgress: (progress: LoadProgress) => void): Promise<ServedModel> {
    try {
      return await this.lifecycle.load(onProgress);
    } catch (error) {
      if (toTabserveError(error).code !== 'device_lost' || !this.#reloader.isActive) throw error;
      await this.#reloader.over;
      if (this.lifecycle.model === undefined) throw error;
      return this.lifecycle.model;
    }
  }

  /** Takes in a session that had the model in a worker that has died. The model is loaded with its next request. */
  restore(session: ConnectedSession, persists: boolean): void {
    this.lifecycle.restore();
    this.sessions.add(session, persists);
  }

  /**
   * The session has gone, or, with a reason, has loaded another model. Its blocks are free after the step under way. A load
   * that nobody waits for is given up; a model on the GPU stays for the next session.
   */
  leave(session: ConnectedSession, reason?: TabserveError): void {
    this.#requests.drop(session, reason);
    this.lifecycle.model?.engine.abortSession(session.sessionId);
    if (this.sessions.delete(session) && this.numSessions === 0 && this.lifecycle.model === undefined) this.lifecycle.close();
    if (this.lifecycle.isClosed) this.#reloader.end();
  }

  /**
   * Queues a request. Where the model has not been loaded in this worker yet, that happens once it is; a long prompt is
   * encoded first.
   *
   * @returns a promise where it is not queued at once
   * @throws TabserveError `context_length_exceeded`, `queue_full`, or why the model is closed; by the promise if there is one
   */
  generate(session: ConnectedSession, request: GenerateRequest): Queued | Promise<Queued> {
    this.lastUsed = this.#context.clock();
    const persistPrefix = this.sessions.persists(session);
    const queued = this.#requests.add({ session, request, persistPrefix, arrivalTime: this.lastUsed }, this.lifecycle.known);
    this.resume();
    return queued;
  }

  /** Ends a request of the session's own. One that has ended already is left alone. */
  abort(session: ConnectedSession, requestId: string): void {
    if (!this.#requests.abort(session, requestId)) return;
    this.lifecycle.model?.engine.abort(requestId);
    this.#context.onChange();
  }

  /** Takes the model off the GPU. It is loaded again with the next request, or by {@link resume}. Without sessions, it is closed. */
  unload(): void {
    this.#requests.requeueAll();
    if (this.numSessions > 0) this.lifecycle.unload();
    else if (this.lifecycle.model !== undefined) this.lifecycle.close();
  }

  /** To be called when a session has come or gone, and when its tab was hidden or shown. */
  updateVisibility(): void {
    this.visibleClock.setVisible(this.sessions.isAnyVisible);
  }

  /** Goes on with pending requests, once neither another engine nor another model waits for the GPU or has it. */
  resume(): void {
    const { state } = this.lifecycle;
    if (state.name === 'ready') {
      if (!this.#context.isDraining(this)) this.#requests.resubmit(state.model.engine);
    } else if (state.name === 'unloaded' && !this.#context.isLeaving()) {
      const { isActive, neededMemory } = this.#reloader;
      if (this.numRequests === 0) this.#reloader.end();
      else if (!isActive || (neededMemory !== undefined && this.#context.hasMemory(this, neededMemory))) this.#reloader.reload();
    }
  }

  /** Its load may take this much memory: others have made room for it. */
  reserve(bytes: number): void {
    this.reservedBytes = bytes;
    this.#reloader.gotMemory();
  }

  /** Unloads it for good, or gives up its load. */
  close(): void {
    this.lifecycle.close();
    this.#reloader.end();
  }

  metrics(): ModelMetrics {
    return metricsOf(this.lifecycle.model, this.#modelState, this.numRequests);
  }

  summary(): ResidentModel {
    return { id: this.id, state: this.#modelState, gpuBytes: this.gpuBytes, sessions: this.numSessions };
  }

  /** The requests of all its sessions, as this session may see them. */
  snapshot(session: ConnectedSession): EngineSnapshot {
    const scheduler = this.lifecycle.model?.engine.snapshot();
    return this.#anonymizer.anonymize(session, [...this.sessions], scheduler ?? this.#requests.toSnapshot());
  }

  get #modelState(): ModelState {
    const { state, modelState } = this.lifecycle;
    return state.name === 'unloaded' && this.#reloader.isActive ? 'recovering' : modelState;
  }

  #serve(model: ServedModel, stop: AbortSignal): void {
    this.reservedBytes = model.gpuBytes;
    this.#requests.submitAll(model);
    this.#reloader.end();
    this.sessions.setReady();
    void model.lost.then((error) => this.#lose(model, error));
    this.#pump(model, stop).catch((error: unknown) => this.#lose(model, toTabserveError(error)));
    this.#context.onChange();
  }

  /** Runs until the model is unloaded. Posting frames does not wait for any reader. */
  async #pump(model: ServedModel, stop: AbortSignal): Promise<void> {
    for await (const outputs of model.engine.run(stop)) {
      if (stop.aborted) return;
      if (outputs.some(({ newTokenIds }) => newTokenIds.length > 0)) this.#recovery.progressed();
      this.lastUsed = this.#context.clock();
      this.#requests.deliver(model.engine, outputs);
      this.#context.onChange();
    }
  }

  /** The engine is lost. Requests wait for the next one, unless there will be none or they are the likely cause. */
  #lose(model: ServedModel, error: TabserveError): void {
    if (this.lifecycle.model !== model) return;
    // Destroyed on purpose, but not by this worker: an injected fault.
    const cause = error.code === 'closed' ? new TabserveError('device_lost', 'The GPU device was destroyed.') : error;
    const action = this.#recovery.lost(cause, this.isBusy);
    if (action === 'fail') {
      this.lifecycle.close(cause);
      this.#end(cause);
    } else {
      const [level, consequence] = LOST[action];
      this.#context.log(this, level, `${cause.code}: ${cause.message} ${consequence}`);
      if (action === 'fail_work') this.#requests.failRunning(cause);
      this.unload();
      if (action === 'retry' && !this.lifecycle.isClosed) this.#reloader.reload(cause);
    }
    this.#context.onChange();
  }

  /** There is no engine, and there will be none before the next load or the next request. */
  #end(error: TabserveError): void {
    this.sessions.setReady();
    this.#requests.failAll(error);
    if (error.code !== 'aborted') this.#context.log(this, 'error', `${error.code}: ${error.message}`);
    this.#context.onChange();
  }
}
