import { chatCompletion, chatCompletionId } from '../api/chat-chunk.ts';
import { parseChatRequest } from '../api/chat-request.ts';
import type {
  ChatCompletion,
  ChatCompletionCreateParams,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
} from '../api/chat-types.ts';
import { TabserveError } from '../core/errors.ts';
import { abortable, abortedError, onAbort } from './abort.ts';
import { ChatCompletionStream } from './chat-completion-stream.ts';
import type { Connection } from './connection.ts';
import type { RequestFrames } from './request-frames.ts';
import { usageOf } from './usage.ts';

export interface RequestOptions {
  /** Aborting it ends the request. */
  readonly signal?: AbortSignal | undefined;
}

/** What requests need to know of their client. */
export interface CompletionsContext {
  readonly connection: Connection;
  readonly modelId: string;
  /** The names that the model answers to. */
  readonly modelNames: readonly string[];
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/** Reads an answer to its end. */
async function collect(frames: RequestFrames, created: number, model: string): Promise<ChatCompletion> {
  let content = '';
  for await (const frame of frames.read()) content += frame.text;
  const { finish } = frames;
  if (finish === undefined || finish.finishReason === 'abort') {
    throw new TabserveError('aborted', 'The worker ended the request.');
  }
  const header = { id: chatCompletionId(frames.requestId), created, model };
  return chatCompletion(header, content, finish.finishReason, usageOf(finish, frames.timer.timings()));
}

/** `client.chat.completions`. */
export class Completions {
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
    const created = Math.floor(Date.now() / 1000);
    const { connection, modelId: model, modelNames } = this.#context;
    const { generate, stream, includeUsage } = parseChatRequest(body, { modelNames, randomSeed });
    if (options.signal?.aborted === true) throw abortedError();
    const requestId = crypto.randomUUID();
    const abort = (request: RequestFrames): void => connection.abort(request, abortedError());
    const frames = await abortable(connection.generate({ ...generate, requestId }, called), options.signal, abort);
    if (!stream) {
      const ended = new AbortController();
      onAbort(options.signal, ended.signal, () => abort(frames));
      return collect(frames, created, model).finally(() => ended.abort());
    }
    const header = { id: chatCompletionId(requestId), created, model, includeUsage };
    const answer = new ChatCompletionStream(header, frames, () => abort(frames));
    onAbort(options.signal, answer.controller.signal, () => answer.abort());
    return answer;
  }
}
