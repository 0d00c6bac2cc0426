import type { CompletionUsage } from '../api/chat-types.ts';
import type { FinishFrame } from '../core/frames.ts';
import type { RequestTimings } from '../core/metrics.ts';
import type { GenerateRequest } from '../core/protocol.ts';
import type { AnswerFrame, RequestFrames } from './request-frames.ts';
import { mergeTimings } from './timings.ts';
import { usageOf } from './usage.ts';

/** What the worker is asked for `n` choices: a request for each, which the engine serves side by side. */
export function choiceRequests(request: GenerateRequest, n: number): readonly GenerateRequest[] {
  const { requestId } = request;
  if (n === 1) return [request];
  return Array.from({ length: n }, (_, choice) => ({
    ...request,
    requestId: `${requestId}:${choice}`,
    choice,
    completionId: requestId,
  }));
}

/** The frames of all choices of one answer. */
export class Choices {
  readonly all: readonly RequestFrames[];

  /** @param all by choice; at least one */
  constructor(all: readonly RequestFrames[]) {
    this.all = all;
  }

  timings(): RequestTimings {
    return mergeTimings(this.all.map(({ timer }) => timer.timings()));
  }

  /** Token counts and timings; undefined until every choice has ended. */
  usage(): CompletionUsage | undefined {
    const finishes = this.all.map(({ finish }) => finish).filter((finish): finish is FinishFrame => finish !== undefined);
    return finishes.length < this.all.length ? undefined : usageOf(finishes, this.timings());
  }

  /**
   * The frames of all choices as they come, each choice's in order. One reader only.
   *
   * @throws TabserveError what the first choice that failed did so with, after what had come
   */
  async *read(): AsyncGenerator<AnswerFrame, void> {
    const arrived: AnswerFrame[] = [];
    let running = this.all.length;
    let failure: { readonly error: unknown } | undefined;
    let wake = (): void => {};
    const collect = async (frames: RequestFrames): Promise<void> => {
      for await (const frame of frames.read()) {
        arrived.push(frame);
        wake();
      }
    };
    for (const frames of this.all) {
      collect(frames)
        .catch((error: unknown) => (failure ??= { error }))
        .finally(() => {
          running--;
          wake();
        });
    }
    for (;;) {
      const frame = arrived.shift();
      if (frame !== undefined) yield frame;
      else if (failure !== undefined) throw failure.error;
      else if (running === 0) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
}
