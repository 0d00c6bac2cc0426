import { chatCompletion, chatCompletionId } from '../api/chat-chunk.ts';
import type { ChunkHeader } from '../api/chat-chunk.ts';
import { parseChatRequest } from '../api/chat-request.ts';
import type {
  ChatCompletion,
  ChatCompletionCreateParams,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
} from '../api/chat-types.ts';
import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { GenerateRequest } from '../core/protocol.ts';
import { abortable, abortedError, onAbort } from './abort.ts';
import { ChatCompletionStream } from './chat-completion-stream.ts';
import { choiceRequests, Choices } from './choices.ts';
import type { Connection } from './connection.ts';

/** What is said of a request beside its body. */
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
async function collect(choices: Choices, header: Omit<ChunkHeader, 'includeUsage'>): Promise<ChatCompletion> {
  const contents = choices.all.map(() => '');
  for await (const { choice, text } of choices.read()) contents[choice] += text;
  const usage = choices.usage();
  const answers = choices.all.map(({ finish }, choice) => {
    if (finish === undefined || finish.finishReason === 'abort') {
      throw new TabserveError('aborted', 'The worker ended the request.');
    }
    return { content: contents[choice] ?? '', finishReason: finish.finishReason };
  });
  if (usage === undefined) throw new TabserveError('internal', 'The answer ended before its choices did.');
  return chatCompletion(header, answers, usage);
}

/** Queues a request for every choice. Where one is refused, none goes on. */
async function queueAll(connection: Connection, requests: readonly GenerateRequest[], called: number): Promise<Choices> {
  const results = await Promise.allSettled(requests.map((request) => connection.generate(request, called)));
  const queued = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const refused = results.find((result) => result.status === 'rejected');
  if (refused === undefined) return new Choices(queued);
  for (const frames of queued) connection.abort(frames, toTabserveError(refused.reason));
  throw refused.reason;
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
    const { generate, n, stream, includeUsage } = parseChatRequest(body, { modelNames, randomSeed });
    if (options.signal?.aborted === true) throw abortedError();
    const requestId = crypto.randomUUID();
    const abort = ({ all }: Choices): void => {
      for (const frames of all) connection.abort(frames, abortedError());
    };
    const queueing = queueAll(connection, choiceRequests({ ...generate, requestId }, n), called);
    const choices = await abortable(queueing, options.signal, abort);
    const header = { id: chatCompletionId(requestId), created, model };
    if (!stream) {
      const ended = new AbortController();
      onAbort(options.signal, ended.signal, () => abort(choices));
      return collect(choices, header).finally(() => {
        ended.abort();
        abort(choices); // where one has failed, the others
      });
    }
    const answer = new ChatCompletionStream({ ...header, includeUsage }, choices, () => abort(choices));
    onAbort(options.signal, answer.controller.signal, () => answer.abort());
    return answer;
  }
}
