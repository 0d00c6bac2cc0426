import type { ChatCompletionChunk } from '../api/chat-types.ts';
import type { ChunkForm } from '../api/completion-form.ts';
import type { CompletionUsage } from '../api/completion-types.ts';
import type { TextCompletionChunk } from '../api/text-types.ts';
import { TabserveError } from '../core/errors.ts';
import type { RequestTimings } from '../core/metrics.ts';
import type { Choices } from './choices.ts';

export interface CompletionStreamOptions<Chunk> {
  readonly id: string;
  readonly form: ChunkForm<Chunk>;
  /** Whether a usage chunk comes at the end. */
  readonly includeUsage: boolean;
  readonly choices: Choices;
  readonly onAbort: () => void;
}

/**
 * A streamed answer: OpenAI chunks, to be iterated once. Generation does not wait for the reader: chunks read late are
 * there, chunks never read cost no one else anything.
 *
 * With several choices (`n`) their chunks come as they are generated, in any order; `index` tells them apart.
 *
 * Leaving the loop early aborts the request. After `abort()`, or when the caller's signal is aborted, the loop ends
 * without an error, as the OpenAI client's does; any other failure is thrown as a TabserveError.
 */
export class CompletionStream<Chunk> implements AsyncIterable<Chunk> {
  /** Aborting it ends the request, as in the OpenAI client. */
  readonly controller = new AbortController();
  readonly #options: CompletionStreamOptions<Chunk>;
  #consumed = false;

  /** @internal */
  constructor(options: CompletionStreamOptions<Chunk>) {
    this.#options = options;
    this.controller.signal.addEventListener('abort', () => options.onAbort(), { once: true });
  }

  /** The answer's id: `chatcmpl-...` of a chat, `cmpl-...` of a text. */
  get id(): string {
    return this.#options.id;
  }

  /** Where the time has gone so far; complete when the stream has ended. */
  get timings(): RequestTimings {
    return this.#options.choices.timings();
  }

  /** Token counts and timings; undefined until the answer's end has arrived, of every choice. */
  get usage(): CompletionUsage | undefined {
    return this.#options.choices.usage();
  }

  /** Ends the request. Nothing happens when it has ended already. */
  abort(): void {
    this.controller.abort();
  }

  [Symbol.asyncIterator](): AsyncGenerator<Chunk, void> {
    if (this.#consumed) throw new TabserveError('invalid_request', 'A stream can be read once only.');
    this.#consumed = true;
    return this.#read();
  }

  /** The chunks as lines of JSON, as the OpenAI client's method of this name gives them. */
  toReadableStream(): ReadableStream<Uint8Array> {
    const chunks = this[Symbol.asyncIterator]();
    const encoder = new TextEncoder();
    return new ReadableStream({
      pull: async (controller) => {
        const { value, done } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
      },
      cancel: async () => {
        this.abort(); // wakes a read that waits
        await chunks.return();
      },
    });
  }

  async *#read(): AsyncGenerator<Chunk, void> {
    try {
      yield* this.#chunks();
    } catch (error) {
      if (!this.controller.signal.aborted) throw error;
    } finally {
      this.abort();
    }
  }

  async *#chunks(): AsyncGenerator<Chunk, void> {
    const { choices, form, includeUsage } = this.#options;
    const opened = new Set<number>();
    for await (const { index, frame } of choices.read()) {
      if (this.controller.signal.aborted) return; // what has come and is not read yet is not wanted
      const opening = opened.has(index) ? undefined : form.opening(index);
      opened.add(index);
      if (opening !== undefined) yield opening;
      if (frame.text !== '') yield form.text(index, frame.text);
      if (frame.type !== 'finish') continue;
      if (frame.finishReason === 'abort') throw new TabserveError('aborted', 'The worker ended the request.');
      yield form.finish(index, frame.finishReason);
    }
    const { usage } = this;
    if (includeUsage && usage !== undefined) yield form.usage(usage);
  }
}

/** A streamed answer of `client.chat.completions`. */
export type ChatCompletionStream = CompletionStream<ChatCompletionChunk>;

/** A streamed text of `client.completions`. */
export type TextCompletionStream = CompletionStream<TextCompletionChunk>;
