import type { TabserveError } from '../core/errors.ts';
import type { GenerateRequest, Queued } from '../core/protocol.ts';
import { type RequestFrame, RequestFrames } from './request-frames.ts';

/** The longest time that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A request that has not ended, with all that the next worker needs to go on with it. */
export class PendingRequest {
  readonly frames: RequestFrames;
  /** Resolves when a worker has queued it. @throws TabserveError why none will */
  readonly queued: Promise<void>;
  readonly #request: GenerateRequest;
  readonly #called: number;
  /** Aborted when the worker dies that has queued it; undefined while none has. */
  #worker: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #accept: () => void = () => {};
  #refuse: (reason: TabserveError) => void = () => {};

  /** @param called when the caller asked, on the clock that frames are timed by */
  constructor(request: GenerateRequest, called: number) {
    this.#request = request;
    this.#called = called;
    this.frames = new RequestFrames(request.requestId, called);
    this.queued = new Promise((resolve, reject) => {
      this.#accept = resolve;
      this.#refuse = reject;
    });
    this.queued.catch(() => {}); // perhaps nothing waits for it
  }

  /** Whether no worker has queued it: it waits in this tab. */
  get isWaiting(): boolean {
    return this.#worker?.aborted ?? true;
  }

  /** The request for a worker, with the rest of its time since the caller sent it, and its progress so far. */
  toGenerateRequest(now: number): GenerateRequest {
    const { promptTokenIds, tokenIds } = this.frames;
    const { scheduling, ...request } = this.#request;
    const timeoutMs = this.#remainingMs(now);
    return {
      ...request,
      ...(scheduling === undefined ? {} : { scheduling: { ...scheduling, ...(timeoutMs === undefined ? {} : { timeoutMs }) } }),
      ...(promptTokenIds === undefined ? {} : { resume: { promptTokenIds, tokenIds: [...tokenIds] } }),
    };
  }

  /** Calls back once its time is over, unless it ends before. */
  startDeadline(onDeadline: () => void): void {
    const remainingMs = this.#remainingMs(performance.now());
    if (remainingMs === undefined || this.frames.ended) return;
    if (remainingMs === 0) onDeadline();
    else this.#timer = setTimeout(() => this.startDeadline(onDeadline), Math.min(remainingMs, MAX_TIMER_MS));
  }

  /** A worker has queued it. @param worker aborted when that dies */
  accepted({ promptTokenIds }: Queued, worker: AbortSignal): void {
    this.frames.promptTokenIds = promptTokenIds;
    this.#worker = worker;
    this.#accept();
  }

  /** A frame has arrived. */
  receive(frame: RequestFrame, now: number): void {
    this.frames.append(frame, now);
    if (this.frames.ended) clearTimeout(this.#timer);
  }

  /** It ends here, with the reason. */
  fail(reason: TabserveError): void {
    clearTimeout(this.#timer);
    this.#refuse(reason);
    this.frames.fail(reason);
  }

  #remainingMs(now: number): number | undefined {
    const timeoutMs = this.#request.scheduling?.timeoutMs;
    return timeoutMs === undefined ? undefined : Math.max(0, timeoutMs - (now - this.#called));
  }
}
