import { serializeError, TabserveError, toTabserveError } from '../core/errors.ts';
import type { Frame, LogFrame } from '../core/frames.ts';
import type { Locks } from '../core/locks.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { AdapterLimits, ProfileOptions, StepProfile } from '../core/profile.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { GenerateRequest, LoadOptions, ModelInfo, Queued } from '../core/protocol.ts';
import { retryUntilBack, RecoveryPolicy } from '../core/recovery.ts';
import type { RetryOptions } from '../core/recovery.ts';
import { sleep } from '../core/sleep.ts';
import type { EngineSnapshot } from '../core/snapshot.ts';
import type { EngineStatus } from '../core/status.ts';
import { GpuLease } from './gpu-lease.ts';
import type { HostSession } from './host-session.ts';
import { createLiveRequest } from './live-request.ts';
import { Inspector } from './inspector.ts';
import { LiveRequests } from './live-requests.ts';
import { ModelSlot } from './model-slot.ts';
import type { LoadIntoSlot } from './model-slot.ts';
import type { LoadModel, ServedModel, ServedProfiler } from './served-model.ts';

export interface HostOptions {
  readonly loadModel: LoadModel;
  readonly locks: Locks;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
  /** @default a timer */
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const NO_ENGINE = {
  requestsRunning: 0, kvBlocksUsed: 0, kvBlocksTotal: 0, kvBlockSize: 0, preemptions: 0,
  promptTokens: 0, generationTokens: 0, prefixCacheQueries: 0, prefixCacheHits: 0,
  prefillTokensPerSecond: 0, decodeTokensPerSecond: 0,
} as const;
const NO_STEPS = { steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 } as const;
const READY: EngineStatus = { state: 'ready' };
const WAITING: LoadProgress = { stage: 'wait', bytesDone: 0, bytesTotal: 0, bytesPerSecond: 0, secondsLeft: Infinity };

/** Log lines kept while no session is there to read them. */
const MAX_UNREAD_LOG_LINES = 100;

/** How often an engine looks whether another one wants the GPU. */
const LOOK_ROUND_MS = 500;

/** How often deadlines are looked at while there is no engine to do so. */
const DEADLINE_CHECK_MS = 100;

/**
 * Serves one model to all sessions: chat requests to the engine, and the engine's outputs to the right tabs.
 *
 * An engine can be lost, with its GPU; a request cannot. What lives is kept here, with the tokens it has got, and handed
 * to the next engine, which computes its KV anew and goes on at the next token: sampling is a pure function of seed,
 * choice and position, and a row's numbers do not depend on how they came about, so the text is what it would have been.
 */
export class Host {
  readonly #options: HostOptions;
  readonly #slot: ModelSlot<HostSession>;
  readonly #lease: GpuLease;
  readonly #recovery = new RecoveryPolicy();
  readonly #requests = new LiveRequests();
  readonly #inspector = new Inspector();
  readonly #sleep: NonNullable<HostOptions['sleep']>;
  readonly #sessions = new Set<HostSession>();
  readonly #unreadLog: LogFrame[] = [];
  #status = READY;
  #isLookingRound = false;
  /** Whether another engine waits for the GPU: what runs is finished, what comes is kept for the next turn. */
  #isDraining = false;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#sleep = options.sleep ?? sleep;
    this.#lease = new GpuLease(options.locks);
    this.#slot = new ModelSlot(
      (what, context) => this.#loadWithLease(what, context),
      (model) => this.#serve(model),
    );
  }

  /** A session of the same name is one whose tab has not heard the answer, and greets anew. */
  attach(session: HostSession): void {
    for (const other of this.#sessions) if (other.sessionId === session.sessionId) this.detach(other);
    this.#sessions.add(session);
    session.send(this.#unreadLog.splice(0));
    if (this.#status !== READY) session.send([{ type: 'status', status: this.#status }]);
  }

  /** The session’s requests end; their blocks are free once the step under way has ended. */
  detach(session: HostSession): void {
    if (!this.#sessions.delete(session)) return;
    this.#requests.drop(session);
    this.#slot.model?.engine.abortSession(session.sessionId);
    this.#slot.release(session);
    this.#afterUse();
  }

  async load(
    session: HostSession,
    options: LoadOptions,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<ModelInfo> {
    const isOther = this.#slot.isTaken && !this.#slot.isFor(session, options);
    if (!isOther && this.#slot.state === 'parked') this.#bringBack();
    const loading = this.#slot.load(session, options, onProgress);
    if (isOther) this.#requests.failAll(new TabserveError('aborted', 'The model was unloaded.'));
    const model = await loading.finally(() => this.#afterUse());
    onProgress(readyProgress(model.info));
    return model.info;
  }

  /** Queues a request. @throws TabserveError `context_length_exceeded`, `queue_full`, or what the model's state is */
  generate(session: HostSession, request: GenerateRequest): Queued {
    const { requestId } = request;
    if (!this.#sessions.has(session)) throw new TabserveError('closed', 'The session has ended.');
    if (this.#requests.has(requestId)) throw new TabserveError('invalid_request', `"${requestId}" is in use.`);
    const live = createLiveRequest(session, request, this.#slot.requireKnown(), this.#options.clock());
    this.#requests.add(requestId, live, this.#isDraining ? undefined : this.#slot.model?.engine);
    if (this.#slot.state === 'parked') this.#bringBack();
    return { promptTokenIds: live.promptTokenIds };
  }

  /** Ends a request of the session's own; one that has ended already is left alone. */
  abort(session: HostSession, requestId: string): void {
    if (!this.#requests.abort(session, requestId, this.#options.clock())) return;
    this.#slot.model?.engine.abort(requestId);
    this.#afterUse();
  }

  metrics(): EngineMetrics {
    const model = this.#slot.model;
    return {
      ...(model?.engine.stats() ?? { ...NO_ENGINE, requestsWaiting: this.#requests.size }),
      state: this.#slot.state,
      model: model?.info.id,
      adapter: model?.adapter,
      sessions: this.#sessions.size,
      counters: model?.counters() ?? NO_STEPS,
      tuning: model?.tuning(),
    };
  }

  /** What runs and waits, of all sessions, as this one may see it. */
  inspect(session: HostSession): EngineSnapshot {
    const scheduler = this.#slot.model?.engine.snapshot();
    return this.#inspector.inspect(session, [...this.#sessions], scheduler ?? this.#requests.toSnapshot());
  }

  /** Where the GPU's time goes in the next steps, of all sessions. @throws TabserveError `device_lost` while there is no GPU */
  async profile(options: ProfileOptions): Promise<StepProfile> {
    return this.#requireProfiler().profile(options);
  }

  /** What the adapter can do at most. @throws TabserveError `device_lost` while there is no GPU */
  async limits(): Promise<AdapterLimits> {
    return this.#requireProfiler().limits();
  }

  /** Tells every session, or the next one where there is none. */
  log(level: LogFrame['level'], message: string): void {
    const frame: LogFrame = { type: 'log', level, message };
    this.#tellAll(frame);
    if (this.#sessions.size === 0 && this.#unreadLog.length < MAX_UNREAD_LOG_LINES) this.#unreadLog.push(frame);
  }

  /** Destroys the GPU device of the model that answers, as a crash would. For tests and demonstrations. */
  loseDevice(): void {
    this.#slot.model?.loseDevice();
  }

  /** One engine of the origin has a device at a time: this one waits for its turn. */
  readonly #loadWithLease: LoadIntoSlot = async (options, context) => {
    await this.#lease.acquire(() => context.onProgress(WAITING), context.signal);
    const log: Host['log'] = (level, message) => this.log(level, message);
    return this.#options.loadModel(options, { ...context, log, clock: this.#options.clock });
  };

  #serve(model: ServedModel): void {
    this.#requests.handTo(model.engine);
    this.#setStatus(READY);
    void model.lost.then((error) => this.#lose(model, error));
    this.#pump(model).catch((error: unknown) => this.#lose(model, toTabserveError(error)));
    this.#afterUse();
  }

  /** Runs as long as the model is served. Posting frames does not wait for any reader. */
  async #pump(model: ServedModel): Promise<void> {
    for await (const outputs of model.engine.run()) {
      if (this.#slot.model !== model) return;
      if (outputs.some(({ newTokenIds }) => newTokenIds.length > 0)) this.#recovery.progressed();
      this.#requests.deliver(model.engine, outputs);
      this.#afterUse();
    }
  }

  /** The engine is lost: requests wait for the next one, unless there will be none. */
  #lose(model: ServedModel, error: TabserveError): void {
    if (this.#slot.model !== model) return;
    // Destroyed on purpose, but not by this host: a fault that was asked for.
    const cause = error.code === 'closed' ? new TabserveError('device_lost', 'The GPU device was destroyed.') : error;
    if (this.#recovery.isWorthwhile(cause)) {
      this.log('warn', `${cause.code}: ${cause.message} The engine is set up again, and its requests go on.`);
      this.#bringBack(cause);
    } else {
      this.#slot.fail(cause);
      this.#end(cause);
    }
  }

  /** Puts the model on a GPU again, after a rest, or after a loss and until it is back. */
  #bringBack(cause?: TabserveError): void {
    const deadlines = setInterval(() => this.#requests.expire(this.#options.clock()), DEADLINE_CHECK_MS);
    const reloaded = this.#slot.reload((load, signal) => {
      if (cause === undefined) return load();
      const onAttempt: RetryOptions['onAttempt'] = ({ number, cause: why, retryInMs }) => {
        this.#setStatus({ state: 'recovering', cause: serializeError(why), attempt: number, retryInMs });
      };
      return retryUntilBack(load, { cause, signal, sleep: this.#sleep, onAttempt });
    });
    reloaded
      .catch((error: unknown) => this.#end(toTabserveError(error)))
      .finally(() => clearInterval(deadlines));
  }

  /** There is no engine, and there will be none before the next load. */
  #end(error: TabserveError): void {
    this.#setStatus(READY);
    this.#afterUse();
    if (this.#slot.isTaken) return; // given up for another model
    this.#requests.failAll(error);
    if (error.code !== 'aborted') this.log('error', `${error.code}: ${error.message}`);
  }

  /** What is not used is given back: the lease without a model, and the GPU when another engine waits for its turn. */
  #afterUse(): void {
    if (!this.#slot.isTaken) void this.#slot.settled.then(() => this.#slot.isTaken || this.#lease.release());
    else if (this.#isDraining && !this.#requests.isServed) this.#giveWay();
    else if (!this.#isLookingRound) void this.#lookRound();
  }

  async #lookRound(): Promise<void> {
    this.#isLookingRound = true;
    while (this.#slot.model !== undefined) {
      this.#isDraining = await this.#lease.isWanted();
      // Who waited may have given up.
      if (!this.#isDraining && this.#slot.model !== undefined) this.#requests.handKept(this.#slot.model.engine);
      if (this.#isDraining && !this.#requests.isServed) this.#giveWay();
      else await this.#sleep(LOOK_ROUND_MS);
    }
    this.#isLookingRound = false;
  }

  /** The other engine has its turn; requests that have come since it asked for it wait for the next one of this engine. */
  #giveWay(): void {
    this.#isDraining = false;
    if (this.#slot.model === undefined) return;
    this.#slot.park();
    this.#lease.release();
    this.log('info', 'Another engine of this origin has the GPU now; the next request takes it back.');
    if (this.#requests.size > 0) this.#bringBack();
  }

  #requireProfiler(): ServedProfiler {
    this.#slot.requireKnown();
    const model = this.#slot.model;
    if (model !== undefined) return model.profiler;
    throw new TabserveError('device_lost', 'The model is not on the GPU at the moment: wait until it is, or send a request.');
  }

  #setStatus(status: EngineStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.#tellAll({ type: 'status', status });
  }

  #tellAll(frame: Frame): void {
    for (const session of this.#sessions) session.send([frame]);
  }
}

function readyProgress({ fileBytes }: ModelInfo): LoadProgress {
  return { stage: 'ready', bytesDone: fileBytes, bytesTotal: fileBytes, bytesPerSecond: 0, secondsLeft: 0 };
}
