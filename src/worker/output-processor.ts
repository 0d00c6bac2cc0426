import type { FinishFrame, TokenFrame } from '../core/frames.ts';
import type { FinishReason, RequestOutput } from '../core/request.ts';
import type { Detokenizer } from '../tokenizer/detokenizer.ts';
import { createStopMatcher } from '../tokenizer/stop-matcher.ts';
import type { StopMatcher } from '../tokenizer/stop-matcher.ts';

export interface OutputProcessorOptions {
  readonly requestId: string;
  readonly choice: number;
  readonly promptTokens: number;
  /** Engine-clock milliseconds at which the request reached the worker. */
  readonly arrivalTime: number;
  /** Tokens that end an answer; they are numbered and counted, and add no text. */
  readonly stopTokenIds: readonly number[];
  readonly detokenizer: Detokenizer;
  readonly stops: readonly string[];
}

/**
 * Turns the token ids of one choice into frames. The joined texts of its frames are the answer, without the stop string.
 * After the finish frame nothing is held back.
 */
export class OutputProcessor {
  readonly #options: OutputProcessorOptions;
  readonly #stopMatcher: StopMatcher;
  #completionTokens = 0;
  #firstScheduledTime: number | undefined;
  #cachedTokens: number | undefined;
  #ended = false;

  constructor(options: OutputProcessorOptions) {
    this.#options = options;
    this.#stopMatcher = createStopMatcher(options.stops);
  }

  /** Whether the finish frame is out. Ids that come later are dropped. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Processes tokens whose frames another worker has sent. Afterwards it is in the state that it was in there. */
  replay(tokenIds: readonly number[]): void {
    for (const tokenId of tokenIds) this.#tokenFrame(tokenId, this.#textOf(tokenId).text);
  }

  /** The frames of one output. A stop string ends the answer, even if the engine has more tokens. */
  process(output: RequestOutput): readonly (TokenFrame | FinishFrame)[] {
    if (this.#ended) return [];
    this.#firstScheduledTime ??= output.firstScheduledTime;
    this.#cachedTokens ??= output.numCachedTokens; // before any engine was lost
    const frames: (TokenFrame | FinishFrame)[] = [];
    for (const tokenId of output.newTokenIds) {
      const { text, stopped } = this.#textOf(tokenId);
      frames.push(this.#tokenFrame(tokenId, text));
      if (stopped) return [...frames, this.#finishFrame('stop', '')];
    }
    if (output.finishReason !== undefined) frames.push(this.#drain(output.finishReason));
    return frames;
  }

  /** Ends the answer at engine-clock time `now`, with the text that was held back. */
  abort(now: number): readonly FinishFrame[] {
    if (this.#ended) return [];
    this.#firstScheduledTime ??= now;
    return [this.#drain('abort')];
  }

  #textOf(tokenId: number): { readonly text: string; readonly stopped: boolean } {
    if (this.#options.stopTokenIds.includes(tokenId)) return { text: '', stopped: false };
    return this.#stopMatcher.scan(this.#options.detokenizer.decode(tokenId));
  }

  /** The last bytes of an incomplete code point may still complete a stop string. */
  #drain(finishReason: FinishReason): FinishFrame {
    const { text, stopped } = this.#stopMatcher.scan(this.#options.detokenizer.flush());
    if (stopped) return this.#finishFrame('stop', text);
    return this.#finishFrame(finishReason, text + this.#stopMatcher.flush());
  }

  #tokenFrame(tokenId: number, text: string): TokenFrame {
    const { requestId, choice } = this.#options;
    return { type: 'token', request: requestId, choice, index: this.#completionTokens++, tokenId, text };
  }

  #finishFrame(finishReason: FinishReason, text: string): FinishFrame {
    const { requestId, choice, promptTokens, arrivalTime } = this.#options;
    this.#ended = true;
    return {
      type: 'finish',
      request: requestId,
      choice,
      finishReason,
      text,
      promptTokens,
      cachedTokens: this.#cachedTokens ?? 0,
      completionTokens: this.#completionTokens,
      queueMs: (this.#firstScheduledTime ?? arrivalTime) - arrivalTime,
    };
  }
}
