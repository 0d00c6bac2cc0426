import { textForm } from '../api/text-form.ts';
import { parseTextRequest } from '../api/text-request.ts';
import type {
  TextCompletion,
  TextCompletionCreateParams,
  TextCompletionCreateParamsNonStreaming,
  TextCompletionCreateParamsStreaming,
} from '../api/text-types.ts';
import type { TextCompletionStream } from './completion-stream.ts';
import { type CompletionsContext, randomSeed, type RequestOptions, runCompletion, signalOf } from './run-completion.ts';

/** `client.completions`. */
export class TextCompletions {
  readonly #context: CompletionsContext;

  /** @internal */
  constructor(context: CompletionsContext) {
    this.#context = context;
  }

  /**
   * Continues a text, or token ids, on any model: no chat template is used. With `stream: true` it resolves as soon as
   * the request is queued, to a stream of OpenAI chunks; else to the whole text.
   *
   * @throws TabserveError `invalid_request`, `unsupported_parameter`, `context_length_exceeded`, `queue_full`,
   *   `deadline_exceeded`, `aborted` (by the signal, or superseded), `closed`, `device_lost`, `out_of_memory`
   */
  create(body: TextCompletionCreateParamsStreaming, options?: RequestOptions): Promise<TextCompletionStream>;
  create(body: TextCompletionCreateParamsNonStreaming, options?: RequestOptions): Promise<TextCompletion>;
  create(body: TextCompletionCreateParams, options?: RequestOptions): Promise<TextCompletionStream | TextCompletion>;
  async create(
    body: TextCompletionCreateParams,
    options: RequestOptions = {},
  ): Promise<TextCompletionStream | TextCompletion> {
    const called = performance.now();
    const { modelNames } = this.#context;
    const request = parseTextRequest(body, { modelNames, randomSeed });
    const signal = signalOf(options);
    return runCompletion(this.#context, { request, form: textForm(request.echo), called, signal });
  }
}
