import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import type { ModelState, ResidentModel } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { GenerateRequest, LoadOptions, ModelInfo, Queued } from '../core/protocol.ts';
import { RecoveryPolicy, statusOf } from '../core/recovery.ts';
import type { EngineSnapshot } from '../core/snapshot.ts';
import { Reloader, LOST, type NeededMemory } from './reloader.ts';
import { type EngineNumbers, numbersOf } from './engine-numbers.ts';
import type { MemoryHolder } from './eviction-plan.ts';
import type { ConnectedSession } from './host-session.ts';
import { SnapshotAnonymizer } from './snapshot-anonymizer.ts';
import { modelId, modelUrl } from './model-identity.ts';
import { ModelRequests } from './model-requests.ts';
import { ModelLifecycle, type LoadAttempt } from './model-lifecycle.ts';
import { ModelStatus } from './model-status.ts';
import type { ServedModel, ServedProfiler } from './served-model.ts';

/** What an instance needs of the host. */
export interface ModelInstanceContext {
  readonly load: (instance: ModelInstance, context: LoadAttempt) => Promise<ServedModel>;
  /** A request or a load has begun or ended: what is not used may be given back. */
  readonly onChange: () => void;
  /** Whether another engine, or a model, waits for the GPU: what runs is finished, what comes is kept for the next turn. */
  readonly isDraining: (instance: ModelInstance) => boolean;
  /** Whether another engine is to have the GPU next: nothing more is loaded before its turn. */
  readonly isLeaving: () => boolean;
  /** Whether models at work leave room for it. */
  readonly hasMemory: (instance: ModelInstance, need: NeededMemory) => boolean;
  /** Whether no other model is on the GPU. */
  readonly isAlone: (instance: ModelInstance) => boolean;
  readonly log: (instance: ModelInstance, level: LogFrame['level'], message: string) => void;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * A model with a place in this worker, on a device of its own: the sessions that have loaded it, its engine, and their
 * requests.
 *
 * An engine can be lost, with its GPU; a request cannot. What lives is kept here, with the tokens it has got, and handed
 * to the next engine, which computes its KV anew and goes on at the next token: sampling is a pure function of seed,
 * choice and position, and a row's numbers do not depend on how they came about, so the text is what it would have been.
 */
export class ModelInstance implements MemoryHolder {
  /** What its sessions are told. */
  readonly status: ModelStatus;
  /** Memory of the GPU that it may take, or, while it is not there, took when it was. */
  reservedBytes = 0;
  /** Engine-clock milliseconds of its last load, request or token. */
  lastUsed: number;
  readonly #context: ModelInstanceContext;
  readonly #lifecycle: ModelLifecycle<ConnectedSession>;
  readonly #recovery = new RecoveryPolicy();
  readonly #reloader: Reloader;
  readonly #requests: ModelRequests;
  readonly #anonymizer = new SnapshotAnonymizer();

  constructor(options: LoadOptions, context: ModelInstanceContext) {
    this.#context = context;
    this.lastUsed = context.clock();
    this.status = new ModelStatus(() => this.sessions, context.clock);
    this.#lifecycle = new ModelLifecycle(options, (attempt) => context.load(this, attempt), (model) => this.#serve(model));
    const engine = () => (context.isDraining(this) ? undefined : this.#lifecycle.model?.engine);
    this.#requests = new ModelRequests(context.clock, engine, () => {
      this.resume();
      context.onChange();
    });
    this.#reloader = new Reloader({
      load: () => this.#lifecycle.load(),
      isNeeded: () => this.numRequests > 0,
      isAlone: () => context.isAlone(this),
      onAttempt: (attempt) => this.status.set(statusOf(attempt)),
      onGivenUp: (error) => this.#end(error),
      onOver: () => {
        this.status.ready();
        context.onChange();
      },
      sleep: context.sleep,
    });
  }

  get options(): LoadOptions {
    return this.#lifecycle.options;
  }

  get id(): string {
    return modelId(this.options);
  }

  get url(): string | undefined {
    return modelUrl(this.options);
  }

  get gpuBytes(): number {
    return this.#lifecycle.isOnGpu ? this.reservedBytes : 0;
  }

  get numSessions(): number {
    return this.#lifecycle.users.size;
  }

  get numRequests(): number {
    return this.#requests.size;
  }

  get isIdle(): boolean {
    return this.isLive && !this.isServing;
  }

  get sessions(): ReadonlySet<ConnectedSession> {
    return this.#lifecycle.users;
  }

  get isLive(): boolean {
    return this.#lifecycle.model !== undefined;
  }

  /** Whether it is on the GPU, or about to be. */
  get isOnGpu(): boolean {
    return this.#lifecycle.isOnGpu;
  }

  get isLoading(): boolean {
    return this.isOnGpu && !this.isLive;
  }

  /** Whether its engine works on a request. */
  get isServing(): boolean {
    return this.#requests.isRunning;
  }

  /** Whether it waits until other models leave it room on the GPU. */
  get waitsForMemory(): boolean {
    return this.#reloader.neededMemory !== undefined;
  }

  get isGone(): boolean {
    return this.#lifecycle.isGone;
  }

  get settled(): Promise<void> {
    return this.#lifecycle.settled();
  }

  isFor(session: ConnectedSession, options: LoadOptions): boolean {
    return this.#lifecycle.isFor(session, options);
  }

  /** Waits for the load, or has it loaded again where it is parked. */
  async load(session: ConnectedSession, onProgress: (progress: LoadProgress) => void): Promise<ModelInfo> {
    this.lastUsed = this.#context.clock();
    if (this.#lifecycle.isKept && this.#lifecycle.state === 'parked') this.#reloader.reload();
    this.status.tellTo(session);
    const { info } = await this.#lifecycle.join(session, onProgress).finally(() => this.#context.onChange());
    return info;
  }

  /** Takes in a session that had the model in a worker that has died. It is loaded when something is asked of it. */
  keepFor(session: ConnectedSession): void {
    this.#lifecycle.keepFor(session);
    this.status.tellTo(session);
  }

  /** The session has gone, or, where there is a reason, has loaded another model. Blocks are free after the step under way. */
  leave(session: ConnectedSession, reason?: TabserveError): void {
    this.#requests.drop(session, reason);
    this.#lifecycle.model?.engine.abortSession(session.sessionId);
    this.#lifecycle.leave(session);
    if (this.isGone) this.#reloader.end();
  }

  /**
   * Queues a request; before the model has been loaded in this worker, as soon as it is; a long prompt's, when it is encoded.
   * @throws TabserveError `context_length_exceeded`, `queue_full`, or what the model's state is, by the promise if there is one
   */
  generate(session: ConnectedSession, request: GenerateRequest, persistPrefix: boolean): Queued | Promise<Queued> {
    this.lastUsed = this.#context.clock();
    const queued = this.#requests.add({ session, request, persistPrefix, arrivalTime: this.lastUsed }, this.#lifecycle.known);
    this.resume();
    return queued;
  }

  abort(session: ConnectedSession, requestId: string): void {
    if (!this.#requests.abort(session, requestId)) return;
    this.#lifecycle.model?.engine.abort(requestId);
    this.#context.onChange();
  }

  /** Takes the model off the GPU; the next request, or {@link resume}, puts it there again. */
  unload(): void {
    this.#requests.requeueAll();
    this.#lifecycle.unload();
  }

  /** Has an engine for requests that were kept while another engine, or a model, waited for the GPU, or had it. */
  resume(): void {
    const { model, state } = this.#lifecycle;
    if (model !== undefined) {
      if (!this.#context.isDraining(this)) this.#requests.resubmit(model.engine);
    } else if (state === 'parked' && !this.#context.isLeaving()) {
      const { isActive, neededMemory } = this.#reloader;
      if (this.numRequests === 0) this.#reloader.end();
      else if (!isActive || (neededMemory !== undefined && this.#context.hasMemory(this, neededMemory))) this.#reloader.reload();
    }
  }

  /** Others have made room for its load. @param bytes that it may take */
  reserve(bytes: number): void {
    this.reservedBytes = bytes;
    this.#reloader.gotMemory();
  }

  /** Unloads it, or gives up its load. */
  close(): void {
    this.#lifecycle.close();
    this.#reloader.end();
  }

  metrics(): EngineNumbers {
    return numbersOf(this.#lifecycle.model, this.#state, this.numRequests);
  }

  summary(): ResidentModel {
    return { id: this.id, state: this.#state, gpuBytes: this.gpuBytes, sessions: this.numSessions };
  }

  /** What runs and waits, of all its sessions, as this one may see it. */
  inspect(session: ConnectedSession): EngineSnapshot {
    const scheduler = this.#lifecycle.model?.engine.snapshot();
    return this.#anonymizer.anonymize(session, [...this.sessions], scheduler ?? this.#requests.toSnapshot());
  }

  /** @throws TabserveError `device_lost` while there is no GPU */
  requireProfiler(): ServedProfiler {
    const { model, known: _known } = this.#lifecycle;
    if (model !== undefined) return model.profiler;
    throw new TabserveError('device_lost', 'The model is not on the GPU at the moment: wait until it is, or send a request.');
  }

  /** Destroys the GPU device, as a crash would. */
  loseDevice(): void {
    this.#lifecycle.model?.loseDevice();
  }

  /** As sessions see it. */
  get #state(): ModelState {
    const { state } = this.#lifecycle;
    return state === 'parked' && this.#reloader.isActive ? 'recovering' : state;
  }

  #serve(model: ServedModel): void {
    this.reservedBytes = model.gpuBytes;
    this.#requests.submitAll(model);
    this.#reloader.end();
    this.status.ready();
    void model.lost.then((error) => this.#lose(model, error));
    this.#pump(model).catch((error: unknown) => this.#lose(model, toTabserveError(error)));
    this.#context.onChange();
  }

  /** Runs as long as the model is served. Posting frames does not wait for any reader. */
  async #pump(model: ServedModel): Promise<void> {
    for await (const outputs of model.engine.run()) {
      if (this.#lifecycle.model !== model) return;
      if (outputs.some(({ newTokenIds }) => newTokenIds.length > 0)) this.#recovery.progressed();
      this.lastUsed = this.#context.clock();
      this.#requests.deliver(model.engine, outputs);
      this.#context.onChange();
    }
  }

  /** The engine is lost: requests wait for the next one, unless there will be none or they are what kills it. */
  #lose(model: ServedModel, error: TabserveError): void {
    if (this.#lifecycle.model !== model) return;
    // Destroyed on purpose, but not by this host: a fault that was asked for.
    const cause = error.code === 'closed' ? new TabserveError('device_lost', 'The GPU device was destroyed.') : error;
    const verdict = this.#recovery.lost(cause, this.isServing);
    if (verdict === 'broken') {
      this.#lifecycle.close(cause);
      this.#end(cause);
    } else {
      const [level, what] = LOST[verdict];
      this.#context.log(this, level, `${cause.code}: ${cause.message} ${what}`);
      if (verdict === 'kills') this.#requests.failRunning(cause);
      this.unload();
      if (verdict === 'again' && !this.isGone) this.#reloader.reload(cause);
    }
    this.#context.onChange();
  }

  /** There is no engine, and there will be none before the next load or the next request. */
  #end(error: TabserveError): void {
    this.status.ready();
    this.#requests.failAll(error);
    if (error.code !== 'aborted') this.#context.log(this, 'error', `${error.code}: ${error.message}`);
    this.#context.onChange();
  }
}
