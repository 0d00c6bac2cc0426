import type { ChatMessage } from '../../src/core/protocol.ts';

/** What every engine is asked: the same tokens, greedily, for the same number of tokens. */
export interface PeerTask {
  readonly name: string;
  readonly messages: readonly ChatMessage[];
  /** The prompt as the model's own chat template writes it, control tokens included. */
  readonly promptText: string;
  /** That text's tokens. */
  readonly promptTokenIds: readonly number[];
  readonly maxTokens: number;
}

/** One answer, timed where it was asked for; milliseconds from the call. */
export interface PeerTiming {
  /** To the first token. */
  readonly ttftMs: number;
  /** To the last. */
  readonly lastMs: number;
  /** As the engine counts them. */
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly text: string;
  /** Where the engine tells them. */
  readonly tokenIds?: readonly number[];
}

/** Several answers asked for at once: milliseconds from the first call to the last token of all. */
export interface TogetherTiming {
  readonly wallMs: number;
  readonly answers: readonly PeerTiming[];
}

export type Backend = 'webgpu' | 'wasm' | 'native';

/** An engine that is ready. */
export interface PeerSubject {
  readonly version: string;
  /** What it runs on, as far as it tells. */
  readonly device: string;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
}

/** What a page of an engine's is told. */
export interface PageOptions {
  readonly modelUrl: string;
  readonly backend: Backend;
  readonly threads: number;
  /** Requests that may run at once, and the tokens each may have, prompt and answer. */
  readonly maxRequests: number;
  readonly maxTokensEach: number;
}

/** What a page of an engine's does; run.mjs calls it. */
export interface PeerPage {
  load(options: PageOptions): Promise<PeerSubject>;
  ask(task: PeerTask): Promise<PeerTiming>;
  /** Submits to a GPU so far: an engine that says WebGPU and submits nothing computes elsewhere. */
  gpuSubmits(): Promise<number>;
}
