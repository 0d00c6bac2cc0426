import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
} from '../api/chat-types.ts';
import type { Endpoint } from '../api/endpoints.ts';
import type {
  TextCompletion,
  TextCompletionChunk,
  TextCompletionCreateParamsNonStreaming,
  TextCompletionCreateParamsStreaming,
} from '../api/text-types.ts';
import type { CompletionStream } from './completion-stream.ts';
import { type CompletionsContext, randomSeed, type RequestOptions, runCompletion, signalOf } from './run-completion.ts';

/** An endpoint of OpenAI's API: {@link ChatCompletions} or {@link TextCompletions}. */
export class Completions<Streaming, NonStreaming, Chunk, Whole> {
  readonly #endpoint: Endpoint<Chunk, Whole>;
  readonly #context: CompletionsContext;

  /** @internal */
  constructor(endpoint: Endpoint<Chunk, Whole>, context: CompletionsContext) {
    this.#endpoint = endpoint;
    this.#context = context;
  }

  /**
   * Answers a chat, or continues a text. With `stream: true` it resolves as soon as the request is queued, to a stream of
   * OpenAI chunks; else to the whole answer.
   *
   * @throws TabserveError `invalid_request`, `unsupported_parameter`, `context_length_exceeded`, `queue_full`,
   *   `deadline_exceeded`, `aborted` (by the signal, or superseded), `closed`, `device_lost`, `out_of_memory`
   */
  create(body: Streaming, options?: RequestOptions): Promise<CompletionStream<Chunk>>;
  create(body: NonStreaming, options?: RequestOptions): Promise<Whole>;
  create(body: Streaming | NonStreaming, options?: RequestOptions): Promise<CompletionStream<Chunk> | Whole>;
  async create(body: Streaming | NonStreaming, options: RequestOptions = {}): Promise<CompletionStream<Chunk> | Whole> {
    const called = performance.now();
    const { modelNames } = this.#context;
    const parsed = this.#endpoint(body, { modelNames, randomSeed });
    return runCompletion(this.#context, { ...parsed, called, signal: signalOf(options) });
  }
}

/** `client.chat.completions`: answers to messages, by the model's chat template. */
export type ChatCompletions = Completions<
  ChatCompletionCreateParamsStreaming, ChatCompletionCreateParamsNonStreaming, ChatCompletionChunk, ChatCompletion
>;

/** `client.completions`: continues a text, or token ids, on any model; no chat template is used. */
export type TextCompletions = Completions<
  TextCompletionCreateParamsStreaming, TextCompletionCreateParamsNonStreaming, TextCompletionChunk, TextCompletion
>;
