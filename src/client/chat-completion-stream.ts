import { contentChunk, finishChunk, roleChunk, usageChunk } from '../api/chat-chunk.ts';
import type { ChunkHeader } from '../api/chat-chunk.ts';
import type { ChatCompletionChunk, CompletionUsage } from '../api/chat-types.ts';
import { TabserveError } from '../core/errors.ts';
import type { RequestTimings } from '../core/metrics.ts';
import type { Choices } from './choices.ts';

/**
 * A streamed answer: OpenAI chunks, to be iterated once. Generation does not wait for the reader: chunks read late are
 * there, chunks never read cost no one else anything.
 *
 * With several choices (`n`) their chunks come as they are generated, in any order; `index` tells them apart.
 *
 * Leaving the loop early aborts the request. After `abort()`, or when the caller's signal is aborted, the loop ends
 * without an error, as the OpenAI client's does; any other failure is thrown as a TabserveError.
 */
export class ChatCompletionStream implements AsyncIterable<ChatCompletionChunk> {
  /** Aborting it ends the request, as in the OpenAI client. */
  readonly controller = new AbortController();
  readonly #header: ChunkHeader;
  readonly #choices: Choices;
  #consumed = false;

  /** @internal */
  constructor(header: ChunkHeader, choices: Choices, onAbort: () => void) {
    this.#header = header;
    this.#choices = choices;
    this.controller.signal.addEventListener('abort', onAbort, { once: true });
  }

  /** The answer's id, `chatcmpl-...`. */
  get id(): string {
    return this.#header.id;
  }

  /** Where the time has gone so far; complete when the stream has ended. */
  get timings(): RequestTimings {
    return this.#choices.timings();
  }

  /** Token counts and timings; undefined until the answer's end has arrived, of every choice. */
  get usage(): CompletionUsage | undefined {
    return this.#choices.usage();
  }

  /** Ends the request. Nothing happens when it has ended already. */
  abort(): void {
    this.controller.abort();
  }

  [Symbol.asyncIterator](): AsyncGenerator<ChatCompletionChunk, void> {
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

  async *#read(): AsyncGenerator<ChatCompletionChunk, void> {
    try {
      yield* this.#chunks();
    } catch (error) {
      if (!this.controller.signal.aborted) throw error;
    } finally {
      this.abort();
    }
  }

  async *#chunks(): AsyncGenerator<ChatCompletionChunk, void> {
    const header = this.#header;
    const opened = new Set<number>();
    for await (const frame of this.#choices.read()) {
      if (this.controller.signal.aborted) return; // what has come and is not read yet is not wanted
      const { choice } = frame;
      if (!opened.has(choice)) yield roleChunk(header, choice);
      opened.add(choice);
      if (frame.text !== '') yield contentChunk(header, choice, frame.text);
      if (frame.type !== 'finish') continue;
      if (frame.finishReason === 'abort') throw new TabserveError('aborted', 'The worker ended the request.');
      yield finishChunk(header, choice, frame.finishReason);
    }
    const { usage } = this;
    if (header.includeUsage && usage !== undefined) yield usageChunk(header, usage);
  }
}
