import { CHAT_FORM } from './chat-form.ts';
import { parseChatRequest } from './chat-request.ts';
import type { ChatCompletion, ChatCompletionChunk } from './chat-types.ts';
import type { CompletionForm } from './completion-form.ts';
import type { CompletionContext, CompletionRequest } from './completion-request.ts';
import { textForm } from './text-form.ts';
import { parseTextRequest } from './text-request.ts';
import type { TextCompletion, TextCompletionChunk } from './text-types.ts';

/** A checked request, and the form of its answer. */
export interface ParsedRequest<Chunk, Whole> {
  readonly request: CompletionRequest;
  readonly form: CompletionForm<Chunk, Whole>;
}

/**
 * Reads the body of an endpoint's request.
 *
 * @throws TabserveError `unsupported_parameter` or `invalid_request`, with the parameter's name in `param`
 */
export type Endpoint<Chunk, Whole> = (body: unknown, context: CompletionContext) => ParsedRequest<Chunk, Whole>;

/** OpenAI's chat completions. */
export const chatEndpoint: Endpoint<ChatCompletionChunk, ChatCompletion> = (body, context) => {
  return { request: parseChatRequest(body, context), form: CHAT_FORM };
};

/** OpenAI's completions of texts and token ids. */
export const textEndpoint: Endpoint<TextCompletionChunk, TextCompletion> = (body, context) => {
  const request = parseTextRequest(body, context);
  return { request, form: textForm(request.echo) };
};
