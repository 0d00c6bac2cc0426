import type { CompletionFinishReason, CompletionParams, CompletionUsage, StreamOptions } from './completion-types.ts';

/** A part of a message's content. Only text is supported. */
export interface ChatContentPart {
  readonly type: 'text';
  readonly text: string;
}

/** A message as OpenAI's chat API takes it. `developer` is read as `system`; text parts are joined as they stand. */
export interface ChatMessageParam {
  readonly role: 'system' | 'developer' | 'user' | 'assistant';
  readonly content: string | readonly ChatContentPart[];
}

/**
 * The parameters of `chat.completions.create`: OpenAI's names, meanings and defaults. These pass as well, and
 * change nothing: `add_generation_prompt: true`, `add_special_tokens: false`, `chat_template_kwargs: {}`,
 * `continue_final_message: false`, `documents: []`, `echo: false`, `function_call: 'none'`, `functions: []`,
 * `include_reasoning: true`, `logprobs: false`, `metadata: {}`, `modalities: ['text']`, `parallel_tool_calls: true`,
 * `parallel_tool_calls: false`, `prompt_cache_retention: 'in_memory'`, `prompt_cache_retention: 'in-memory'`,
 * `service_tier: 'auto'`, `service_tier: 'default'`, `store: false`, `tool_choice: 'none'`, `tool_choice: 'auto'`, `tools: []`,
 * `top_logprobs: 0`, `verbosity: 'medium'`.
 */
export interface ChatCompletionCreateParamsBase extends CompletionParams {
  readonly messages: readonly ChatMessageParam[];
  /** Tokens to generate at most, at least 1. @default until the context is full */
  readonly max_completion_tokens?: number | null;
  /** The older name of `max_completion_tokens`. */
  readonly max_tokens?: number | null;
  /** Ignored, as `user` is. */
  readonly safety_identifier?: string | null;
  /** Ignored: all requests share one cache. */
  readonly prompt_cache_key?: string | null;
}

/** A request for an answer in pieces, as they come. */
export interface ChatCompletionCreateParamsStreaming extends ChatCompletionCreateParamsBase {
  readonly stream: true;
  readonly stream_options?: StreamOptions | null;
}

/** A request for a whole answer. */
export interface ChatCompletionCreateParamsNonStreaming extends ChatCompletionCreateParamsBase {
  readonly stream?: false | null;
}

/** The parameters of `chat.completions.create`. */
export type ChatCompletionCreateParams = ChatCompletionCreateParamsStreaming | ChatCompletionCreateParamsNonStreaming;

/** A piece of an answer, in OpenAI's form. */
export interface ChatCompletionChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly delta: { readonly role?: 'assistant'; readonly content?: string };
    readonly logprobs: null;
    readonly finish_reason: CompletionFinishReason | null;
  }[];
  /** With `stream_options.include_usage`: null, but in the last chunk, whose `choices` is empty. */
  readonly usage?: CompletionUsage | null;
}

/** A whole answer, in OpenAI's form. */
export interface ChatCompletion {
  readonly id: string;
  readonly object: 'chat.completion';
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly message: { readonly role: 'assistant'; readonly content: string; readonly refusal: null };
    readonly logprobs: null;
    readonly finish_reason: CompletionFinishReason;
  }[];
  readonly usage: CompletionUsage;
}
