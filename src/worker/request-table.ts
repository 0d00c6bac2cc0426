import { serializeError, TabserveError } from '../core/errors.ts';
import type { Frame } from '../core/frames.ts';
import type { RequestOutput } from '../core/request.ts';
import type { SchedulerSnapshot } from '../core/snapshot.ts';
import { checkWaitingLimits, UNKNOWN_RETRY_MS } from '../core/waiting-limits.ts';
import type { ConnectedSession } from './session-registry.ts';
import type { ActiveRequest } from './active-request.ts';
import type { ServedEngine } from './served-model.ts';

type Taker = Pick<ServedEngine, 'add'>;

/**
 * The encoded requests of all sessions that have not ended, in the order of their arrival. They outlive an engine: the next
 * one gets all of them.
 */
export class RequestTable {
  readonly #requests = new Map<string, ActiveRequest>();
  /** Requests that no engine has at the moment. */
  readonly #pending = new WeakSet<ActiveRequest>();

  get size(): number {
    return this.#requests.size;
  }

  /** Whether any waits for an engine. */
  get isPending(): boolean {
    return [...this.#requests.values()].some((request) => this.#pending.has(request));
  }

  /** Whether an engine has any of them. */
  get isRunning(): boolean {
    return [...this.#requests.values()].some((request) => !this.#pending.has(request));
  }

  has(requestId: string): boolean {
    return this.#requests.has(requestId);
  }

  /** Their part of a snapshot while there is no engine. */
  toSnapshot(): SchedulerSnapshot['requests'] {
    return Array.from(this.#requests.values(), (request) => request.toSnapshot());
  }

  /**
   * Submits a new request to the engine; without one, it is pending.
   * @throws TabserveError whatever the engine refuses it with; `queue_full` where too many are pending
   */
  add(requestId: string, request: ActiveRequest, engine: Taker | undefined): void {
    if (engine === undefined) this.#enqueue(request);
    else engine.add(request.toEngineRequest());
    this.#requests.set(requestId, request);
  }

  /** The engine is gone: all of them are pending. */
  requeueAll(): void {
    for (const request of this.#requests.values()) this.#pending.add(request);
  }

  /** Submits pending requests to the engine that has the others. A request that it refuses ends with its reason. */
  resubmit(engine: Taker): void {
    for (const [requestId, request] of this.#requests) {
      if (!this.#pending.delete(request)) continue;
      try {
        engine.add(request.toEngineRequest());
      } catch (error) {
        this.#fail(requestId, request.session, error);
      }
    }
  }

  /** Ends a session's request; false where it has none of that name. */
  abort(session: ConnectedSession, requestId: string, now: number): boolean {
    const request = this.#requests.get(requestId);
    if (request?.session !== session) return false;
    this.#requests.delete(requestId);
    session.send(request.processor.abort(now));
    return true;
  }

  /** Ends the requests of a session. @param reason why; undefined where the session has gone, and hears nothing */
  drop(session: ConnectedSession, reason?: TabserveError): void {
    for (const [requestId, request] of this.#requests) {
      if (request.session !== session) continue;
      if (reason === undefined) this.#requests.delete(requestId);
      else this.#fail(requestId, session, reason);
    }
  }

  /** Ends pending requests whose deadline has passed. An engine checks the deadlines of its own. */
  expire(now: number): void {
    for (const [requestId, request] of this.#requests) {
      const { session, deadline } = request;
      if (deadline === undefined || deadline > now || !this.#pending.has(request)) continue;
      const message = 'The time given to the request was over before the GPU was back.';
      this.#fail(requestId, session, new TabserveError('deadline_exceeded', message));
    }
  }

  /** Ends the requests that an engine has. */
  failRunning(error: TabserveError): void {
    for (const [requestId, request] of this.#requests) {
      if (!this.#pending.has(request)) this.#fail(requestId, request.session, error);
    }
  }

  /** Ends all of them. */
  failAll(error: TabserveError): void {
    for (const [requestId, { session }] of this.#requests) this.#fail(requestId, session, error);
  }

  /** Sends the outputs of a step to their sessions, one message for each session. */
  deliver(engine: Pick<ServedEngine, 'abort'>, outputs: readonly RequestOutput[]): void {
    const mail = new Map<ConnectedSession, Frame[]>();
    for (const output of outputs) {
      const request = this.#requests.get(output.requestId);
      if (request === undefined) continue; // aborted while the step ran
      const frames = this.#framesOf(engine, output, request);
      const earlier = mail.get(request.session);
      if (earlier === undefined) mail.set(request.session, [...frames]);
      else earlier.push(...frames);
    }
    for (const [session, frames] of mail) session.send(frames);
  }

  /** An output that cannot be turned into text ends its own request and no other. */
  #framesOf(engine: Pick<ServedEngine, 'abort'>, output: RequestOutput, request: ActiveRequest): readonly Frame[] {
    const { requestId, finishReason } = output;
    try {
      if (output.error !== undefined) {
        this.#requests.delete(requestId);
        return [{ type: 'error', request: requestId, error: output.error }];
      }
      const frames = request.process(output);
      if (!request.processor.ended) return frames;
      this.#requests.delete(requestId);
      if (finishReason === undefined) engine.abort(requestId); // a stop string was found
      return frames;
    } catch (error) {
      this.#requests.delete(requestId);
      if (finishReason === undefined) engine.abort(requestId);
      return [{ type: 'error', request: requestId, error: serializeError(error) }];
    }
  }

  /** Queues it as an engine would. A request from a worker that has died is never refused for a full queue. */
  #enqueue(request: ActiveRequest): void {
    const pending = [...this.#requests.values()].filter((other) => this.#pending.has(other));
    const numOfSession = pending.filter(({ session }) => session === request.session).length;
    if (!request.isResumed) checkWaitingLimits({}, pending.length, numOfSession, () => UNKNOWN_RETRY_MS);
    request.enqueue();
    this.#pending.add(request);
  }

  #fail(requestId: string, session: ConnectedSession, error: unknown): void {
    this.#requests.delete(requestId);
    session.send([{ type: 'error', request: requestId, error: serializeError(error) }]);
  }
}
