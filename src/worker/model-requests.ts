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

/** How often deadlines are looked at while there is no engine to do so. */
const DEADLINE_CHECK_MS = 100;

/**
 * All requests for a model: those that its tokenizer has read, which an engine works on or which are kept for one; those
 * with a long prompt, which it is reading; and those that come before there is a tokenizer. Whatever is kept ends here when
 * its time is over.
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
   * @param engine that takes requests at the moment; undefined where they are to be kept
   * @param onChange called when none is kept any more, and when a long prompt has been encoded or given up
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

  /** As they are shown while there is no engine. */
  toSnapshot(): SchedulerSnapshot['requests'] {
    return [...this.#early.toSnapshot(), ...this.#table.toSnapshot()];
  }

  /**
   * Takes in a new request.
   *
   * @param known undefined while nothing is known of the model: the request is queued as soon as it is
   * @returns a promise where it is not queued in this turn
   * @throws TabserveError `invalid_request` where its name is in use; what its prompt is refused with, or the engine refuses it with
   */
  add(request: EarlyRequest, known: KnownModel | undefined): Queued | Promise<Queued> {
    const { requestId } = request.request;
    const isInUse = [this.#table, this.#encoding, this.#early].some((requests) => requests.has(requestId));
    if (isInUse) throw new TabserveError('invalid_request', `"${requestId}" is in use.`);
    const queued = known === undefined ? this.#early.add(request) : this.#queue(request, known, this.#engine);
    this.#watchDeadlines();
    return queued;
  }

  /** The model is loaded: its engine has all of them. */
  submitAll({ engine, ...known }: Pick<ServedModel, 'engine' | 'info' | 'tokenizer'>): void {
    this.#early.queueAll((early) => this.#queue(early, known, () => undefined)); // they have been in a queue, and are not refused
    this.resubmit(engine);
  }

  /** Hands those that were kept to the engine that works on the others; one that it refuses ends with its reason. */
  resubmit(engine: ServedEngine): void {
    this.#table.resubmit(engine);
  }

  /** The engine is gone: all of them are kept for the next one. */
  requeueAll(): void {
    this.#table.requeueAll();
    this.#watchDeadlines();
  }

  /** Sends what a step has produced to whom it belongs. */
  deliver(engine: ServedEngine, outputs: readonly RequestOutput[]): void {
    this.#table.deliver(engine, outputs);
  }

  /** Ends a session's request; false where it has none of that name. */
  abort(session: ConnectedSession, requestId: string): boolean {
    const isWaiting = this.#early.abort(session, requestId) || this.#encoding.abort(session, requestId);
    return isWaiting || this.#table.abort(session, requestId, this.#clock());
  }

  /** Forgets a session that has gone, or, where it is told a reason, has not. */
  drop(session: ConnectedSession, reason?: TabserveError): void {
    this.#early.drop(session, reason);
    this.#encoding.drop(session, reason);
    this.#table.drop(session, reason);
  }

  /** Ends those that the engine works on. */
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
