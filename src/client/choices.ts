import type { CompletionRequest } from '../api/completion-request.ts';
import type { CompletionUsage } from '../api/completion-types.ts';
import type { RequestTimings } from '../core/metrics.ts';
import type { GenerateRequest } from '../core/protocol.ts';
import type { AnswerFrame, RequestFrames } from './request-frames.ts';
import { mergeTimings } from './timings.ts';
import { usageOf } from './usage.ts';

/**
 * The requests of a completion to the worker: one for each choice of each prompt, which the engine serves concurrently.
 * The choices of a prompt are numbered from 0, so that its answers do not depend on the other prompts.
 */
export function choiceRequests({ prompts, generate, n }: CompletionRequest, requestId: string): readonly GenerateRequest[] {
  const choices = prompts.flatMap((prompt) => Array.from({ length: n }, (_, choice) => ({ ...generate, prompt, choice })));
  const [only] = choices;
  if (only !== undefined && choices.length === 1) return [{ ...only, requestId }];
  return choices.map((choice, index) => ({ ...choice, requestId: `${requestId}:${index}`, completionId: requestId }));
}

/** A frame, and which of the completion's choices it belongs to. */
export interface ChoiceFrame {
  readonly index: number;
  readonly frame: AnswerFrame;
}

/** The frames of all choices of one completion. */
export class Choices {
  /** By index: the choices of the first prompt, then those of the next. */
  readonly all: readonly RequestFrames[];
  readonly #perPrompt: number;

  /**
   * @param all by index; at least one
   * @param perPrompt how many of them each prompt has
   */
  constructor(all: readonly RequestFrames[], perPrompt: number) {
    this.all = all;
    this.#perPrompt = perPrompt;
  }

  timings(): RequestTimings {
    return mergeTimings(this.all.map(({ timer }) => timer.timings()));
  }

  /** Token counts and timings; undefined until every choice has ended, in whatever way. */
  usage(): CompletionUsage | undefined {
    if (this.all.some(({ ended }) => !ended)) return undefined;
    return usageOf(this.all.map(({ counts }) => counts), this.#perPrompt, this.timings());
  }

  /**
   * The frames of all choices as they come, each choice's in order. One reader only.
   *
   * @throws TabserveError what the first choice that failed did so with, after what had come
   */
  async *read(): AsyncGenerator<ChoiceFrame, void> {
    const arrived: ChoiceFrame[] = [];
    let running = this.all.length;
    let failure: { readonly error: unknown } | undefined;
    let wake = (): void => {};
    const collect = async (index: number, frames: RequestFrames): Promise<void> => {
      for await (const frame of frames.read()) {
        arrived.push({ index, frame });
        wake();
      }
    };
    for (const [index, frames] of this.all.entries()) {
      collect(index, frames)
        .catch((error: unknown) => (failure ??= { error }))
        .finally(() => {
          running--;
          wake();
        });
    }
    for (;;) {
      const next = arrived.shift();
      if (next !== undefined) yield next;
      else if (failure !== undefined) throw failure.error;
      else if (running === 0) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
}
