import { TabserveError } from '../core/errors.ts';
import type { Queued } from '../core/protocol.ts';
import type { RequestOutput } from '../core/request.ts';
import type { SchedulerSnapshot } from '../core/snapshot.ts';
import { type EarlyRequest, EarlyRequests } from './early-requests.ts';
import { EncodingPrompts } from './encoding-prompts.ts';
import type { ConnectedSession } from './session-registry.ts';
import { createActiveRequest, promptOf } from './active-request.ts';
import { RequestTable } from './request-table.ts';
import type { ServedEngine, ServedModel } from './served-model.ts';

type KnownModel = Pick<ServedModel, 'info' | 'tokenizer'>;

/** How often deadlines of pending requests are checked. */
const DEADLINE_CHECK_MS = 100;

/**
 * All requests for a model that have not ended:
 *
 * - early ones, which came before the model had a tokenizer in this worker
 * - ones whose long prompt is being encoded
 * - encoded ones, in a table: submitted to an engine, or pending
 *
 * Deadlines of requests that no engine has are checked here.
 */
export class ModelRequests {
  readonly #early = new EarlyRequests();
  readonly #encoding = new EncodingPrompts();
  readonly #table = new RequestTable();
  readonly #clock: () => number;
  readonly #engine: () => ServedEngine | undefined;
  readonly #onChange: () => void;
  #deadlines: ReturnType<typeof setInterval> | undefined;

  /**
   * @param clock the engine's, in milliseconds
   * @param engine the engine that takes requests at the moment; undefined where new ones are to be pending
   * @param onChange called when no pending request is left, and when a long prompt has been encoded or given up
   */
  constructor(clock: () => number, engine: () => ServedEngine | undefined, onChange: () => void) {
    this.#clock = clock;
    this.#engine = engine;
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#table.size + this.#encoding.size + this.#early.size;
  }

  /** Whether an engine works on any of them. */
  get isRunning(): boolean {
    return this.#table.isRunning;
  }

  /** Their part of a snapshot while there is no engine. */
  toSnapshot(): SchedulerSnapshot['requests'] {
    return [...this.#early.toSnapshot(), ...this.#table.toSnapshot()];
  }

  /**
   * Adds a new request.
   *
   * @param known the model's tokenizer and info; while undefined, the request is queued later
   * @returns a promise where it is not queued at once
   * @throws TabserveError `invalid_request` where its id is in use; whatever its prompt or the engine refuses it with
   */
  add(request: EarlyRequest, known: KnownModel | undefined): Queued | Promise<Queued> {
    const { requestId } = request.request;
    const isInUse = [this.#table, this.#encoding, this.#early].some((requests) => requests.has(requestId));
    if (isInUse) throw new TabserveError('invalid_request', `"${requestId}" is in use.`);
    const queued = known === undefined ? this.#early.add(request) : this.#queue(request, known, this.#engine);
    this.#watchDeadlines();
    return queued;
  }

  /** The model is loaded: submits all of them to its engine. */
  submitAll({ engine, ...known }: Pick<ServedModel, 'engine' | 'info' | 'tokenizer'>): void {
    this.#early.queueAll((early) => this.#queue(early, known, () => undefined)); // pending first: these are not refused for a full queue
    this.resubmit(engine);
  }

  /** Submits pending requests to the engine that has the others. A request that it refuses ends with its reason. */
  resubmit(engine: ServedEngine): void {
    this.#table.resubmit(engine);
  }

  /** The engine is gone: all of them are pending. */
  requeueAll(): void {
    this.#table.requeueAll();
    this.#watchDeadlines();
  }

  /** Sends the outputs of a step to their sessions. */
  deliver(engine: ServedEngine, outputs: readonly RequestOutput[]): void {
    this.#table.deliver(engine, outputs);
  }

  /** Ends a session's request; false where it has none of that name. */
  abort(session: ConnectedSession, requestId: string): boolean {
    const isWaiting = this.#early.abort(session, requestId) || this.#encoding.abort(session, requestId);
    return isWaiting || this.#table.abort(session, requestId, this.#clock());
  }

  /** Ends the requests of a session. @param reason why; undefined where the session has gone, and hears nothing */
  drop(session: ConnectedSession, reason?: TabserveError): void {
    this.#early.drop(session, reason);
    this.#encoding.drop(session, reason);
    this.#table.drop(session, reason);
  }

  /** Ends the requests that the engine has. */
  failRunning(error: TabserveError): void {
    this.#table.failRunning(error);
  }

  /** Ends all of them. */
  failAll(error: TabserveError): void {
    this.#early.failAll(error);
    this.#encoding.failAll(error);
    this.#table.failAll(error);
  }

  #queue(early: EarlyRequest, known: KnownModel, engine: () => ServedEngine | undefined): Queued | Promise<Queued> {
    const { session, request, persistPrefix, arrivalTime: now } = early;
    const queued = this.#encoding.encode(session, request.requestId, promptOf(request, known), (promptTokenIds) => {
      const active = createActiveRequest(session, request, promptTokenIds, { ...known, persistPrefix, now });
      this.#table.add(request.requestId, active, engine());
      this.#watchDeadlines();
      return { promptTokenIds };
    });
    return queued instanceof Promise ? queued.finally(this.#onChange) : queued;
  }

  get #hasPending(): boolean {
    return this.#early.size > 0 || this.#table.isPending;
  }

  #watchDeadlines(): void {
    if (this.#deadlines !== undefined || !this.#hasPending) return;
    this.#deadlines = setInterval(() => {
      const now = this.#clock();
      this.#early.expire(now);
      this.#table.expire(now);
      if (this.#hasPending) return;
      clearInterval(this.#deadlines);
      this.#deadlines = undefined;
      this.#onChange();
    }, DEADLINE_CHECK_MS);
  }
}
