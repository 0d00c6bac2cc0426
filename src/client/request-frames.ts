import { deserializeError, TabserveError } from '../core/errors.ts';
import type { ErrorFrame, FinishFrame, TokenFrame } from '../core/frames.ts';
import { RequestTimer } from './timings.ts';

export type RequestFrame = TokenFrame | FinishFrame | ErrorFrame;
export type AnswerFrame = TokenFrame | FinishFrame;

export type TokenCounts = Pick<FinishFrame, 'promptTokens' | 'completionTokens'> & Partial<Pick<FinishFrame, 'cachedTokens'>>;

/** How a request ended: undefined while it has not. */
type End = { readonly kind: 'finished' } | { readonly kind: 'failed'; readonly error: TabserveError };

/**
 * One request's frames, from the link to their reader, if there is one, however late. They are timed on arrival, not
 * when they are read. Unread frames are bounded by the request's token limit. They are also the journal with which
 * another worker continues if the sending one dies.
 */
export class RequestFrames {
  readonly requestId: string;
  /** The prompt's; undefined until a worker has queued the request. */
  promptTokenIds: readonly number[] | undefined;
  readonly #timer: RequestTimer;
  readonly #unread: AnswerFrame[] = [];
  readonly #tokenIds: number[] = [];
  #finish: FinishFrame | undefined;
  #end: End | undefined;
  #wake: (() => void) | undefined;

  /** @param called when the caller asked, on the clock that `append` is given */
  constructor(requestId: string, called: number) {
    this.requestId = requestId;
    this.#timer = new RequestTimer(called);
  }

  get timer(): RequestTimer {
    return this.#timer;
  }

  /** The last frame, once it has arrived. */
  get finish(): FinishFrame | undefined {
    return this.#finish;
  }

  /** The tokens that have arrived. */
  get tokenIds(): readonly number[] {
    return this.#tokenIds;
  }

  /** How many tokens the prompt has, and the answer so far; of a whole answer also how many the prefix cache had. */
  get counts(): TokenCounts {
    return this.#finish ?? { promptTokens: this.promptTokenIds?.length ?? 0, completionTokens: this.#tokenIds.length };
  }

  /** Whether no more frames will come. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** A frame has arrived. */
  append(frame: RequestFrame, now: number): void {
    if (this.#end !== undefined) return;
    if (frame.type === 'error') {
      this.fail(deserializeError(frame.error));
      return;
    }
    if (frame.type === 'token' && frame.index !== this.#tokenIds.length) {
      const message = `Token ${frame.index} came where token ${this.#tokenIds.length} was due.`;
      this.fail(new TabserveError('internal', message));
      return;
    }
    this.#unread.push(frame);
    if (frame.type === 'token') {
      this.#tokenIds.push(frame.tokenId);
      this.#timer.token(now, frame.text);
    } else {
      this.#timer.finish(now, frame.text, frame.queueMs);
      this.#finish = frame;
      this.#end = { kind: 'finished' };
    }
    this.#wake?.();
  }

  /** The request has failed; what has arrived can still be read. Nothing happens when it has ended already. */
  fail(error: TabserveError): void {
    if (this.#end !== undefined) return;
    this.#end = { kind: 'failed', error };
    this.#wake?.();
  }

  /** The frames in order, as they come. One reader only. @throws TabserveError what the request failed with */
  async *read(): AsyncGenerator<AnswerFrame, void> {
    for (;;) {
      const frame = this.#unread.shift();
      if (frame !== undefined) yield frame;
      else if (this.#end?.kind === 'failed') throw this.#end.error;
      else if (this.#end?.kind === 'finished') return;
      else await this.#arrival();
    }
  }

  #arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
