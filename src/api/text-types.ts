import type { CompletionFinishReason, CompletionParams, CompletionUsage, StreamOptions } from './completion-types.ts';

/**
 * The parameters of `completions.create`: OpenAI's names, meanings and defaults. `add_special_tokens: true` passes as well,
 * and changes nothing.
 */
export interface TextCompletionCreateParamsBase extends CompletionParams {
  /**
   * The prompt to continue: a text, or token ids. Control tokens in a text are recognised, and it gets the model's BOS;
   * token ids are used as they are. An array of texts, or of arrays of token ids, is a batch: `choices` has `n` of the
   * first prompt, then `n` of the next; 128 in all at most.
   */
  readonly prompt: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  /** Tokens to generate at most, at least 1. @default 16 */
  readonly max_tokens?: number | null;
  /** Whether each choice's text begins with its prompt; for prompts that are texts. @default false */
  readonly echo?: boolean | null;
  /** As many as `n`: choosing the best of more is not supported. @default n */
  readonly best_of?: number | null;
}

/** A request for a text in pieces, as they come. */
export interface TextCompletionCreateParamsStreaming extends TextCompletionCreateParamsBase {
  readonly stream: true;
  readonly stream_options?: StreamOptions | null;
}

/** A request for a whole text. */
export interface TextCompletionCreateParamsNonStreaming extends TextCompletionCreateParamsBase {
  readonly stream?: false | null;
}

/** The parameters of `completions.create`. */
export type TextCompletionCreateParams = TextCompletionCreateParamsStreaming | TextCompletionCreateParamsNonStreaming;

/** A piece of a text, in OpenAI's form. */
export interface TextCompletionChunk {
  readonly id: string;
  readonly object: 'text_completion';
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly text: string;
    readonly logprobs: null;
    readonly finish_reason: CompletionFinishReason | null;
  }[];
  /** With `stream_options.include_usage`: null, but in the last chunk, whose `choices` is empty. */
  readonly usage?: CompletionUsage | null;
}

/** A whole completion, in OpenAI's form. */
export interface TextCompletion {
  readonly id: string;
  readonly object: 'text_completion';
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly text: string;
    readonly logprobs: null;
    readonly finish_reason: CompletionFinishReason;
  }[];
  readonly usage: CompletionUsage;
}
