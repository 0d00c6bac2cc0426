import { serializeError, TabserveError, toTabserveError } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import type { EngineMetrics, ResidentModel } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { GenerateRequest, LoadOptions, ModelInfo, Queued } from '../core/protocol.ts';
import { retryUntilBack, RecoveryPolicy } from '../core/recovery.ts';
import type { RetryOptions } from '../core/recovery.ts';
import type { EngineSnapshot } from '../core/snapshot.ts';
import type { Tenant } from './gpu-room.ts';
import type { HostSession } from './host-session.ts';
import { Inspector } from './inspector.ts';
import { createLiveRequest } from './live-request.ts';
import { LiveRequests } from './live-requests.ts';
import { modelId, modelUrl } from './model-identity.ts';
import { ModelSlot, type SlotContext } from './model-slot.ts';
import { ModelStatus } from './model-status.ts';
import type { ServedModel, ServedProfiler } from './served-model.ts';

/** What a resident needs of the host. */
export interface ResidentContext {
  readonly load: (resident: Resident, context: SlotContext) => Promise<ServedModel>;
  /** A request or a load has begun or ended: what is not used may be given back. */
  readonly onChange: () => void;
  /** Whether another engine waits for the GPU: what runs is finished, what comes is kept for the next turn. */
  readonly isDraining: () => boolean;
  readonly log: (resident: Resident, level: LogFrame['level'], message: string) => void;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

type EngineNumbers = Omit<EngineMetrics, 'sessions' | 'models'>;

const NO_ENGINE = {
  requestsRunning: 0, requestsWaiting: 0, kvBlocksUsed: 0, kvBlocksTotal: 0, kvBlockSize: 0, preemptions: 0,
  promptTokens: 0, generationTokens: 0, prefixCacheQueries: 0, prefixCacheHits: 0,
  prefillTokensPerSecond: 0, decodeTokensPerSecond: 0,
} as const;
const NO_STEPS = { steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 } as const;

/** Of a session that has loaded no model. */
export const NO_MODEL: EngineNumbers = {
  ...NO_ENGINE, state: 'idle', model: undefined, adapter: undefined, counters: NO_STEPS, tuning: undefined,
  kernelsToCompile: 0,
};

/** How often deadlines are looked at while there is no engine to do so. */
const DEADLINE_CHECK_MS = 100;

/**
 * A model with a place in this worker, on a device of its own: the sessions that have loaded it, its engine, and their
 * requests.
 *
 * An engine can be lost, with its GPU; a request cannot. What lives is kept here, with the tokens it has got, and handed
 * to the next engine, which computes its KV anew and goes on at the next token: sampling is a pure function of seed,
 * choice and position, and a row's numbers do not depend on how they came about, so the text is what it would have been.
 */
export class Resident implements Tenant {
  /** What its sessions are told. */
  readonly status: ModelStatus;
  /** Memory of the GPU that it may take, or, while it is not there, took when it was. */
  promisedBytes = 0;
  readonly #context: ResidentContext;
  readonly #slot: ModelSlot<HostSession>;
  readonly #recovery = new RecoveryPolicy();
  readonly #requests = new LiveRequests();
  readonly #inspector = new Inspector();
  #lastUsed: number;

  /** Begins to load. */
  constructor(options: LoadOptions, context: ResidentContext) {
    this.#context = context;
    this.#lastUsed = context.clock();
    this.status = new ModelStatus(() => this.sessions, context.clock);
    this.#slot = new ModelSlot(options, (slot) => context.load(this, slot), (model) => this.#serve(model));
  }

  get options(): LoadOptions {
    return this.#slot.options;
  }

  get id(): string {
    return modelId(this.options);
  }

  get url(): string | undefined {
    return modelUrl(this.options);
  }

  get gpuBytes(): number {
    return this.#slot.isOnGpu ? this.promisedBytes : 0;
  }

  get numSessions(): number {
    return this.#slot.users.size;
  }

  get numRequests(): number {
    return this.#requests.size;
  }

  get isIdle(): boolean {
    return this.isLive && this.#requests.size === 0;
  }

  get lastUsed(): number {
    return this.#lastUsed;
  }

  get sessions(): ReadonlySet<HostSession> {
    return this.#slot.users;
  }

  get isLive(): boolean {
    return this.#slot.model !== undefined;
  }

  /** Whether it is on the GPU, or about to be. */
  get isOnGpu(): boolean {
    return this.#slot.isOnGpu;
  }

  /** Whether it is on its way to the GPU. */
  get isLoading(): boolean {
    return this.isOnGpu && !this.isLive;
  }

  /** Whether its engine works on a request. */
  get isServing(): boolean {
    return this.#requests.isServed;
  }

  get isGone(): boolean {
    return this.#slot.isGone;
  }

  get settled(): Promise<void> {
    return this.#slot.settled;
  }

  isFor(session: HostSession, options: LoadOptions): boolean {
    return this.#slot.isFor(session, options);
  }

  /** Waits for the load, or has it loaded again where it is parked. */
  async load(session: HostSession, onProgress: (progress: LoadProgress) => void): Promise<ModelInfo> {
    this.#lastUsed = this.#context.clock();
    if (this.#slot.state === 'parked') this.#bringBack();
    this.status.tellTo(session);
    const { info } = await this.#slot.join(session, onProgress).finally(() => this.#context.onChange());
    return info;
  }

  /** The session has gone, or, where there is a reason, has loaded another model. Blocks are free after the step under way. */
  leave(session: HostSession, reason?: TabserveError): void {
    this.#requests.drop(session, reason);
    this.#slot.model?.engine.abortSession(session.sessionId);
    this.#slot.leave(session);
  }

  /** Queues a request. @throws TabserveError `context_length_exceeded`, `queue_full`, or what the model's state is */
  generate(session: HostSession, request: GenerateRequest, persistPrefix: boolean): Queued {
    const { requestId } = request;
    if (this.#requests.has(requestId)) throw new TabserveError('invalid_request', `"${requestId}" is in use.`);
    this.#lastUsed = this.#context.clock();
    const context = { ...this.#slot.requireKnown(), persistPrefix, now: this.#lastUsed };
    const live = createLiveRequest(session, request, context);
    this.#requests.add(requestId, live, this.#context.isDraining() ? undefined : this.#slot.model?.engine);
    if (!this.#context.isDraining()) this.resume();
    return { promptTokenIds: live.promptTokenIds };
  }

  abort(session: HostSession, requestId: string): void {
    if (!this.#requests.abort(session, requestId, this.#context.clock())) return;
    this.#slot.model?.engine.abort(requestId);
    this.#context.onChange();
  }

  /** Takes the model off the GPU; the next request, or {@link resume}, puts it there again. */
  park(): void {
    this.#slot.park();
  }

  /** Has an engine for requests that were kept while another engine of the origin waited for, or had, the GPU. */
  resume(): void {
    if (this.#slot.model !== undefined) this.#requests.handKept(this.#slot.model.engine);
    else if (this.#slot.state === 'parked' && this.#requests.size > 0) this.#bringBack();
  }

  /** Unloads it, or gives up its load. */
  unload(): void {
    this.#slot.vacate();
  }

  metrics(): EngineNumbers {
    const { model, state } = this.#slot;
    return {
      ...(model?.engine.stats() ?? { ...NO_ENGINE, requestsWaiting: this.#requests.size }),
      state,
      model: model?.info.id,
      adapter: model?.adapter,
      counters: model?.counters() ?? NO_STEPS,
      tuning: model?.tuning(),
      kernelsToCompile: model?.kernelsToCompile() ?? 0,
    };
  }

  summary(): ResidentModel {
    return { id: this.id, state: this.#slot.state, gpuBytes: this.gpuBytes, sessions: this.numSessions };
  }

  /** What runs and waits, of all its sessions, as this one may see it. */
  inspect(session: HostSession): EngineSnapshot {
    const scheduler = this.#slot.model?.engine.snapshot();
    return this.#inspector.inspect(session, [...this.sessions], scheduler ?? this.#requests.toSnapshot());
  }

  /** @throws TabserveError `device_lost` while there is no GPU */
  requireProfiler(): ServedProfiler {
    this.#slot.requireKnown();
    const model = this.#slot.model;
    if (model !== undefined) return model.profiler;
    throw new TabserveError('device_lost', 'The model is not on the GPU at the moment: wait until it is, or send a request.');
  }

  /** Destroys the GPU device, as a crash would. */
  loseDevice(): void {
    this.#slot.model?.loseDevice();
  }

  #serve(model: ServedModel): void {
    this.promisedBytes = model.gpuBytes;
    this.#requests.handTo(model.engine);
    this.status.ready();
    void model.lost.then((error) => this.#lose(model, error));
    this.#pump(model).catch((error: unknown) => this.#lose(model, toTabserveError(error)));
    this.#context.onChange();
  }

  /** Runs as long as the model is served. Posting frames does not wait for any reader. */
  async #pump(model: ServedModel): Promise<void> {
    for await (const outputs of model.engine.run()) {
      if (this.#slot.model !== model) return;
      if (outputs.some(({ newTokenIds }) => newTokenIds.length > 0)) this.#recovery.progressed();
      this.#lastUsed = this.#context.clock();
      this.#requests.deliver(model.engine, outputs);
      this.#context.onChange();
    }
  }

  /** The engine is lost: requests wait for the next one, unless there will be none. */
  #lose(model: ServedModel, error: TabserveError): void {
    if (this.#slot.model !== model) return;
    // Destroyed on purpose, but not by this host: a fault that was asked for.
    const cause = error.code === 'closed' ? new TabserveError('device_lost', 'The GPU device was destroyed.') : error;
    if (this.#recovery.isWorthwhile(cause)) {
      const message = `${cause.code}: ${cause.message} The engine is set up again, and its requests go on.`;
      this.#context.log(this, 'warn', message);
      this.#bringBack(cause);
    } else {
      this.#slot.vacate(cause);
      this.#end(cause);
      this.#context.onChange();
    }
  }

  /** Puts the model on a GPU again, after a rest, or after a loss and until it is back. */
  #bringBack(cause?: TabserveError): void {
    const { clock, sleep } = this.#context;
    const deadlines = setInterval(() => this.#requests.expire(clock()), DEADLINE_CHECK_MS);
    const reloaded = this.#slot.reload((load, signal) => {
      if (cause === undefined) return load();
      const onAttempt: RetryOptions['onAttempt'] = ({ number, cause: why, retryInMs }) => {
        this.status.set({ state: 'recovering', cause: serializeError(why), attempt: number, retryInMs });
      };
      return retryUntilBack(load, { cause, signal, sleep, onAttempt });
    });
    reloaded
      .catch((error: unknown) => this.#end(toTabserveError(error)))
      .finally(() => {
        clearInterval(deadlines);
        this.#context.onChange();
      });
  }

  /** There is no engine, and there will be none before the next load, or, after `model_busy`, the next request. */
  #end(error: TabserveError): void {
    this.status.ready();
    this.#requests.failAll(error);
    if (error.code !== 'aborted' && error.code !== 'model_busy') {
      this.#context.log(this, 'error', `${error.code}: ${error.message}`);
    }
  }
}
