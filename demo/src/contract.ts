import type {
  AdapterLimits, ChatCompletionChunk, ChatMessageParam, CompletionUsage, EngineMetrics, EngineSnapshot, EngineStatus, Fault, LoadProgress,
  ModelInfo, ModelSource, ProfileOptions, RequestTimings, StepProfile,
} from '../../src/index.ts';

/** The part of tabserve's client that the page uses, so that tests can put another in its place. */
export interface ChatClient {
  readonly model: ModelInfo;
  readonly chat: { readonly completions: { create(request: ChatRequest, options: { signal: AbortSignal }): Promise<ChatStream> } };
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

export interface ChatStream extends AsyncIterable<Pick<ChatCompletionChunk, 'choices'>> {
  readonly timings: RequestTimings;
  /** Known at the end. */
  readonly usage: CompletionUsage | undefined;
}

export interface ClientOptions {
  readonly model: ModelSource;
  readonly onProgress: (progress: LoadProgress) => void;
  readonly onStatus: (status: EngineStatus) => void;
  readonly signal: AbortSignal;
}

export type CreateClient = (options: ClientOptions) => Promise<ChatClient>;
