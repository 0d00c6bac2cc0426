import { CHAT_FORM } from '../api/chat-form.ts';
import { parseChatRequest } from '../api/chat-request.ts';
import type {
  ChatCompletion,
  ChatCompletionCreateParams,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
} from '../api/chat-types.ts';
import type { ChatCompletionStream } from './completion-stream.ts';
import { type CompletionsContext, randomSeed, type RequestOptions, runCompletion, signalOf } from './run-completion.ts';

/** `client.chat.completions`. */
export class ChatCompletions {
  readonly #context: CompletionsContext;

  /** @internal */
  constructor(context: CompletionsContext) {
    this.#context = context;
  }

  /**
   * Answers a chat. With `stream: true` it resolves as soon as the request is queued, to a stream of OpenAI chunks;
   * else to the whole answer.
   *
   * @throws TabserveError `invalid_request`, `unsupported_parameter`, `context_length_exceeded`, `queue_full`,
   *   `deadline_exceeded`, `aborted` (by the signal, or superseded), `closed`, `device_lost`, `out_of_memory`
   */
  create(body: ChatCompletionCreateParamsStreaming, options?: RequestOptions): Promise<ChatCompletionStream>;
  create(body: ChatCompletionCreateParamsNonStreaming, options?: RequestOptions): Promise<ChatCompletion>;
  create(body: ChatCompletionCreateParams, options?: RequestOptions): Promise<ChatCompletionStream | ChatCompletion>;
  async create(
    body: ChatCompletionCreateParams,
    options: RequestOptions = {},
  ): Promise<ChatCompletionStream | ChatCompletion> {
    const called = performance.now();
    const { modelNames } = this.#context;
    const request = parseChatRequest(body, { modelNames, randomSeed });
    const signal = signalOf(options);
    return runCompletion(this.#context, { request, form: CHAT_FORM, called, signal });
  }
}
