import type { TabserveError } from '../core/errors.ts';
import type { GenerateRequest, Queued } from '../core/protocol.ts';
import { RequestFrames } from './request-frames.ts';

/** A request on its way to a worker, or on one: what the next worker needs to go on with it. */
export class PendingRequest {
  readonly frames: RequestFrames;
  /** Resolves when a worker has queued it. @throws TabserveError why none will */
  readonly queued: Promise<void>;
  readonly #request: GenerateRequest;
  readonly #called: number;
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
    this.queued.catch(() => {}); // nobody need wait for it
  }

  /** What a worker is asked: at first the request as it is, later how far it had come, and what is left of its time. */
  toGenerateRequest(now: number): GenerateRequest {
    const { promptTokenIds, tokenIds } = this.frames;
    if (promptTokenIds === undefined) return this.#request;
    const resume = { promptTokenIds, tokenIds: [...tokenIds] };
    const { scheduling } = this.#request;
    if (scheduling?.timeoutMs === undefined) return { ...this.#request, resume };
    const timeoutMs = Math.max(0, scheduling.timeoutMs - (now - this.#called));
    return { ...this.#request, resume, scheduling: { ...scheduling, timeoutMs } };
  }

  /** A worker has queued it. */
  accepted({ promptTokenIds }: Queued): void {
    this.frames.promptTokenIds = promptTokenIds;
    this.#accept();
  }

  /** It ends here, with the reason. */
  fail(reason: TabserveError): void {
    this.#refuse(reason);
    this.frames.fail(reason);
  }
}
