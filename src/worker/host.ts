import { serializeError, TabserveError, toTabserveError } from '../core/errors.ts';
import type { Frame, LogFrame } from '../core/frames.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { GenerateRequest, LoadOptions, ModelInfo } from '../core/protocol.ts';
import type { RequestOutput } from '../core/request.ts';
import { ModelSlot } from './model-slot.ts';
import type { LoadModel, ServedModel } from './served-model.ts';
import { TextStream } from './text-stream.ts';

/** What the host knows of a session. */
export interface HostSession {
  readonly sessionId: string;
  /** Never waits, and does not fail when the tab is gone. */
  send(frames: readonly Frame[]): void;
}

export interface HostOptions {
  readonly loadModel: LoadModel;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
}

interface LiveRequest {
  readonly session: HostSession;
  readonly stream: TextStream;
}

const NO_ENGINE = {
  requestsRunning: 0, requestsWaiting: 0, kvBlocksUsed: 0, kvBlocksTotal: 0, kvBlockSize: 0, preemptions: 0,
  promptTokens: 0, generationTokens: 0, prefixCacheQueries: 0, prefixCacheHits: 0,
  prefillTokensPerSecond: 0, decodeTokensPerSecond: 0,
} as const;
const NO_STEPS = { steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 } as const;

/** Log lines kept while no session is there to read them. */
const MAX_UNREAD_LOG_LINES = 100;

/** Serves one model to all sessions: chat requests to the engine, and the engine's outputs to the right tabs. */
export class Host {
  readonly #slot: ModelSlot<HostSession>;
  readonly #clock: () => number;
  readonly #sessions = new Set<HostSession>();
  readonly #requests = new Map<string, LiveRequest>();
  readonly #unreadLog: LogFrame[] = [];
  #served: ServedModel | undefined;

  constructor(options: HostOptions) {
    const { loadModel, clock } = options;
    const log: Host['log'] = (level, message) => this.log(level, message);
    this.#slot = new ModelSlot((what, context) => loadModel(what, { ...context, log, clock }));
    this.#clock = clock;
  }

  attach(session: HostSession): void {
    this.#sessions.add(session);
    session.send(this.#unreadLog.splice(0));
  }

  /** The session’s requests end; their blocks are free once the step under way has ended. */
  detach(session: HostSession): void {
    if (!this.#sessions.delete(session)) return;
    for (const [requestId, request] of this.#requests) {
      if (request.session === session) this.#requests.delete(requestId);
    }
    this.#slot.model?.engine.abortSession(session.sessionId);
    this.#slot.release(session);
  }

  async load(
    session: HostSession,
    options: LoadOptions,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<ModelInfo> {
    const loading = this.#slot.load(session, options, onProgress);
    if (this.#slot.model !== this.#served) this.#endRequests(new TabserveError('aborted', 'The model was unloaded.'));
    const model = await loading;
    if (this.#served !== model) this.#serve(model);
    onProgress(readyProgress(model.info));
    return model.info;
  }

  /** Queues a request. @throws TabserveError `context_length_exceeded`, `queue_full`, or what the model's state is */
  generate(session: HostSession, request: GenerateRequest): void {
    const { requestId, temperature, seed } = request;
    if (!this.#sessions.has(session)) throw new TabserveError('closed', 'The session has ended.');
    if (this.#requests.has(requestId)) throw new TabserveError('invalid_request', `"${requestId}" is in use.`);
    const { engine, tokenizer, info } = this.#slot.requireModel();
    const arrivalTime = this.#clock();
    const promptTokenIds = tokenizer.encodeChat(request.messages);
    const { stopTokenIds } = tokenizer;
    const sampling = { temperature, seed, maxTokens: request.maxTokens ?? info.maxModelLen, stopTokenIds };
    const { timeoutMs, ...scheduling } = request.scheduling ?? {};
    const deadline = timeoutMs === undefined ? undefined : arrivalTime + timeoutMs;
    const { sessionId } = session;
    engine.add({ requestId, sessionId, choice: 0, promptTokenIds, sampling, arrivalTime, deadline, ...scheduling });
    const stream = new TextStream({
      requestId, choice: 0, promptTokens: promptTokenIds.length, arrivalTime, stopTokenIds,
      stops: request.stop, detokenizer: tokenizer.createDetokenizer(),
    });
    this.#requests.set(requestId, { session, stream });
  }

  /** Ends a request of the session's own; one that has ended already is left alone. */
  abort(session: HostSession, requestId: string): void {
    const request = this.#requests.get(requestId);
    if (request?.session !== session) return;
    this.#requests.delete(requestId);
    this.#slot.model?.engine.abort(requestId);
    session.send(request.stream.abort(this.#clock()));
  }

  metrics(): EngineMetrics {
    const model = this.#slot.model;
    return {
      ...(model?.engine.stats() ?? NO_ENGINE),
      state: this.#slot.state,
      model: model?.info.id,
      adapter: model?.adapter,
      sessions: this.#sessions.size,
      counters: model?.counters() ?? NO_STEPS,
    };
  }

  /** Tells every session, or the next one where there is none. */
  log(level: LogFrame['level'], message: string): void {
    const frame: LogFrame = { type: 'log', level, message };
    for (const session of this.#sessions) session.send([frame]);
    if (this.#sessions.size === 0 && this.#unreadLog.length < MAX_UNREAD_LOG_LINES) this.#unreadLog.push(frame);
  }

  #serve(model: ServedModel): void {
    this.#served = model;
    void model.lost.then((error) => this.#fail(model, error));
    this.#pump(model).catch((error: unknown) => this.#fail(model, toTabserveError(error)));
  }

  /** Runs as long as the model is served. Posting frames does not wait for any reader. */
  async #pump(model: ServedModel): Promise<void> {
    for await (const outputs of model.engine.run()) {
      if (this.#slot.model !== model) return;
      this.#deliver(model, outputs);
    }
  }

  #deliver(model: ServedModel, outputs: readonly RequestOutput[]): void {
    const mail = new Map<HostSession, Frame[]>();
    for (const output of outputs) {
      const request = this.#requests.get(output.requestId);
      if (request === undefined) continue; // aborted while the step ran
      const frames = this.#framesOf(model, output, request);
      const earlier = mail.get(request.session);
      if (earlier === undefined) mail.set(request.session, [...frames]);
      else earlier.push(...frames);
    }
    for (const [session, frames] of mail) session.send(frames);
  }

  /** An output that cannot be turned into text ends its own request and no other. */
  #framesOf(model: ServedModel, output: RequestOutput, { stream }: LiveRequest): readonly Frame[] {
    const { requestId, finishReason } = output;
    try {
      if (output.error !== undefined) {
        this.#requests.delete(requestId);
        return [{ type: 'error', request: requestId, error: output.error }];
      }
      const frames = stream.push(output);
      if (!stream.ended) return frames;
      this.#requests.delete(requestId);
      if (finishReason === undefined) model.engine.abort(requestId); // a stop string was found
      return frames;
    } catch (error) {
      this.#requests.delete(requestId);
      if (finishReason === undefined) model.engine.abort(requestId);
      return [{ type: 'error', request: requestId, error: serializeError(error) }];
    }
  }

  /** Every live request ends with the error; the next load starts afresh. */
  #fail(model: ServedModel, error: TabserveError): void {
    if (this.#slot.model !== model) return;
    this.#slot.fail(model, error);
    this.#endRequests(error);
    this.log('error', `${error.code}: ${error.message}`);
  }

  #endRequests(error: TabserveError): void {
    for (const [requestId, { session }] of this.#requests) {
      session.send([{ type: 'error', request: requestId, error: serializeError(error) }]);
    }
    this.#requests.clear();
  }
}

function readyProgress({ fileBytes }: ModelInfo): LoadProgress {
  return { stage: 'ready', bytesDone: fileBytes, bytesTotal: fileBytes, bytesPerSecond: 0, secondsLeft: 0 };
}
