import { TabserveError } from '../core/errors.ts';
import { runSyncOrCooperatively, type Task } from '../core/cooperative-task.ts';
import { checkWaitingLimits, UNKNOWN_RETRY_MS } from '../core/waiting-limits.ts';
import type { ConnectedSession } from './session-registry.ts';

interface EncodingPrompt {
  readonly session: ConnectedSession;
  readonly ended: AbortController;
}

/** Requests whose prompts are being encoded. A long prompt takes many time slices, between which its request may end. */
export class EncodingPrompts {
  readonly #prompts = new Map<string, EncodingPrompt>();

  get size(): number {
    return this.#prompts.size;
  }

  has(requestId: string): boolean {
    return this.#prompts.has(requestId);
  }

  /**
   * Encodes a request's prompt and calls `then`. A short prompt is encoded at once, so short requests keep their order.
   *
   * @returns the result of `then`; for a long prompt a promise, rejected with the reason if the request ends meanwhile
   * @throws TabserveError `queue_full` for a long prompt where too many are being encoded
   */
  encode<Ids, Result>(session: ConnectedSession, requestId: string, work: Task<Ids>, then: (ids: Ids) => Result): Result | Promise<Result> {
    const ended = new AbortController();
    const ids = runSyncOrCooperatively(work, ended.signal);
    if (!(ids instanceof Promise)) return then(ids);
    ids.catch(() => {}); // nobody waits for it where it is refused here
    try {
      this.#checkRoom(session);
    } catch (error) {
      ended.abort(error);
      throw error;
    }
    this.#prompts.set(requestId, { session, ended });
    const forget = (): void => {
      if (this.#prompts.get(requestId)?.ended === ended) this.#prompts.delete(requestId);
    };
    return ids.then(
      (value) => {
        forget();
        ended.signal.throwIfAborted(); // in the task's last time slice
        return then(value);
      },
      (error: unknown) => {
        forget();
        throw error;
      },
    );
  }

  /** Ends a session's request. @returns false where it is not one of these */
  abort(session: ConnectedSession, requestId: string): boolean {
    const prompt = this.#prompts.get(requestId);
    if (prompt?.session !== session) return false;
    this.#end(requestId, prompt, new TabserveError('aborted', 'The request was ended before its prompt was encoded.'));
    return true;
  }

  /** Ends the requests of a session that has gone, or has loaded another model. */
  drop(session: ConnectedSession, reason = new TabserveError('closed', 'The session has ended.')): void {
    for (const [requestId, prompt] of this.#prompts) if (prompt.session === session) this.#end(requestId, prompt, reason);
  }

  failAll(reason: TabserveError): void {
    for (const [requestId, prompt] of this.#prompts) this.#end(requestId, prompt, reason);
  }

  #checkRoom(session: ConnectedSession): void {
    const numOfSession = [...this.#prompts.values()].filter((prompt) => prompt.session === session).length;
    checkWaitingLimits({}, this.size, numOfSession, () => UNKNOWN_RETRY_MS);
  }

  #end(requestId: string, { ended }: EncodingPrompt, reason: TabserveError): void {
    this.#prompts.delete(requestId);
    ended.abort(reason);
  }
}
