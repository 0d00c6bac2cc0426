import type { SerializedError } from './errors.ts';
import type { LoadProgress } from './progress.ts';
import type { FinishReason } from './request.ts';
import type { EngineStatus } from './status.ts';

/** One generated token. Numbered, so that a tab's frames are a journal of its requests. */
export interface TokenFrame {
  readonly type: 'token';
  readonly request: string;
  readonly choice: number;
  /** 0 for the choice's first generated token. */
  readonly index: number;
  readonly tokenId: number;
  /** The text that the token adds: often empty (half a code point, or text held back for a stop string). */
  readonly text: string;
}

/** The last frame of a choice. */
export interface FinishFrame {
  readonly type: 'finish';
  readonly request: string;
  readonly choice: number;
  readonly finishReason: FinishReason;
  /** Text held back until now. */
  readonly text: string;
  readonly promptTokens: number;
  /** Those of the prompt's tokens whose KV was in the prefix cache. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** Milliseconds from reaching the worker to the first scheduled step. */
  readonly queueMs: number;
}

/** The last frame of a request that failed. */
export interface ErrorFrame {
  readonly type: 'error';
  readonly request: string;
  readonly error: SerializedError;
}

/** A line of the worker's log, for the tab's console or its developer panel. */
export interface LogFrame {
  readonly type: 'log';
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
}

/** How far the session's load has come. */
export interface ProgressFrame {
  readonly type: 'progress';
  readonly progress: LoadProgress;
}

/** The engine has lost its GPU, or has it back. Requests live on through both. */
export interface StatusFrame {
  readonly type: 'status';
  readonly status: EngineStatus;
}

/** A message from the engine's worker to a tab. Frames come in order, several in one message. */
export type Frame = TokenFrame | FinishFrame | ErrorFrame | LogFrame | ProgressFrame | StatusFrame;
