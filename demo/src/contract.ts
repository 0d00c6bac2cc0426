import type {
  AdapterLimits, ChatCompletionChunk, ChatMessageParam, CompletionUsage, EngineMetrics, EngineSnapshot, EngineStatus, LoadProgress,
  ModelInfo, ModelSource, ProfileOptions, RequestTimings, StepProfile, TextCompletionChunk,
} from '../../src/index.ts';
import type { Fault } from '../../src/testing.ts';

/** The part of tabserve's client that the page uses, so that tests can put another in its place. */
export interface ChatClient {
  readonly model: ModelInfo;
  readonly chat: { readonly completions: { create(request: ChatRequest, options: { signal: AbortSignal }): Promise<ChatStream> } };
  readonly completions: { create(request: TextRequest, options: { signal: AbortSignal }): Promise<TextStream> };
  metrics(): Promise<EngineMetrics>;
  inspect(): Promise<EngineSnapshot>;
  profile(options: ProfileOptions): Promise<StepProfile>;
  limits(): Promise<AdapterLimits>;
  injectFault(fault: Fault): Promise<void>;
  close(): Promise<void>;
}

export interface ChatRequest {
  readonly messages: ChatMessageParam[];
  readonly stream: true;
  readonly temperature: number;
  readonly seed: number;
  readonly max_tokens: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly repetition_penalty?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly stop?: readonly string[];
}

/** Goes on behind token ids. */
export interface TextRequest extends Omit<ChatRequest, 'messages'> {
  readonly prompt: readonly number[];
}

interface StreamOf<Chunk> extends AsyncIterable<Chunk> {
  readonly timings: RequestTimings;
  /** Known at the end. */
  readonly usage: CompletionUsage | undefined;
  promptTokenIds(): readonly number[];
  /** Those that the text so far is made of. */
  tokenIds(): readonly number[];
}

export type ChatStream = StreamOf<Pick<ChatCompletionChunk, 'choices'>>;
export type TextStream = StreamOf<Pick<TextCompletionChunk, 'choices'>>;
export type AnswerStream = StreamOf<Pick<ChatCompletionChunk, 'choices'> | Pick<TextCompletionChunk, 'choices'>>;

export interface ClientOptions {
  readonly model: ModelSource;
  readonly onProgress: (progress: LoadProgress) => void;
  readonly onStatus: (status: EngineStatus) => void;
  readonly signal: AbortSignal;
}

export type CreateClient = (options: ClientOptions) => Promise<ChatClient>;
