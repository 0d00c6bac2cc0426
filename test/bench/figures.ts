import type { AdapterSummary, StepCounters } from '../../src/core/metrics.ts';

export interface BenchOptions {
  /** A GGUF's URL. */
  readonly modelUrl: string;
  readonly promptTokens: number;
  readonly decodeTokens: number;
  /** How often each thing is measured; the median counts. */
  readonly repeats: number;
}

/** What one decode step costs. */
export type StepCost = Omit<StepCounters, 'steps'>;

/** What the engine does when nothing is between it and the bench. */
export interface EngineFigures {
  readonly adapter: AdapterSummary;
  readonly modelName: string;
  /** Seconds from the file's first byte to a runner that is ready. */
  readonly loadSeconds: number;
  /** Tokens that a step of the engine takes at most. */
  readonly maxNumBatchedTokens: number;
  readonly maxStepsPerPlan: number;
  /** One for each repeat. */
  readonly prefillTokensPerSecond: readonly number[];
  readonly decodeTokensPerSecond: readonly number[];
  readonly perDecodeStep: StepCost;
}

/** What a tab sees through `createClient`. */
export interface ClientFigures {
  readonly promptTokens: number;
  /** One for each repeat. */
  readonly ttftMs: readonly number[];
}

export interface BenchFigures {
  readonly engine: EngineFigures;
  readonly client: ClientFigures;
}
