import type { LogFrame } from '../core/frames.ts';
import type { BeginWait } from '../core/load-watch.ts';
import type { Invariance } from '../core/invariance.ts';
import type { AdapterSummary, EngineStats, StepCounters } from '../core/metrics.ts';
import type { TabserveError } from '../core/errors.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { LoadOptions, ModelInfo } from '../core/protocol.ts';
import type { EngineRequest, RequestOutput } from '../core/request.ts';
import type { SchedulerSnapshot } from '../core/snapshot.ts';
import type { TuningMetrics } from '../core/tuning.ts';
import type { VisibleClock } from '../core/visible-clock.ts';
import type { GpuNeed } from '../runner/gpu-budget.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ModelProfiler } from './model-profiler.ts';

/** The part of a tokenizer that serving needs. */
export type ServedTokenizer = Pick<Tokenizer, 'chatTask' | 'promptTask' | 'createDetokenizer' | 'stopTokenIds'>;

/** The part of an engine that serving needs. Tests use a fake. */
export interface ServedEngine {
  add(request: EngineRequest): void;
  abort(requestId: string): void;
  abortSession(sessionId: string): void;
  stats(): EngineStats;
  snapshot(): SchedulerSnapshot;
  /** The steps' outputs, one array a step, until `signal` aborts; throws when the runner does. */
  run(signal: AbortSignal): AsyncIterable<readonly RequestOutput[]>;
}

/** The part of a profiler that serving needs: see `client.profile` and `client.limits`. */
export type ServedProfiler = Pick<ModelProfiler, 'profile' | 'limits'>;

/** A model that is loaded and answers. */
export interface ServedModel {
  readonly info: ModelInfo;
  readonly adapter: AdapterSummary;
  /** GPU memory of its buffers. */
  readonly gpuBytes: number;
  readonly tokenizer: ServedTokenizer;
  readonly engine: ServedEngine;
  readonly profiler: ServedProfiler;
  /** Resolves when the GPU device is lost. */
  readonly lost: Promise<TabserveError>;
  counters(): StepCounters;
  /** The state of its kernel tuning. */
  tuning(): TuningMetrics;
  /** Whether its kernels give the same bits in all widths. */
  invariance(): Invariance;
  /** The number of kernels that are still to be compiled while others do their work. */
  kernelsToCompile(): number;
  /** Destroys the device, as a crash would; `lost` then resolves. */
  loseDevice(): void;
  /** Gives back the GPU's memory. Its engine must have been stopped. */
  destroy(): void;
}

export interface LoadContext {
  readonly onProgress: (progress: LoadProgress) => void;
  /** Says what is waited for, so that it can be reported if it does not come. */
  readonly beginWait: BeginWait;
  /** Aborted when no session waits for the model any more. */
  readonly signal: AbortSignal;
  readonly log: (level: LogFrame['level'], message: string) => void;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
  /** Goes on while a tab of the model is visible. */
  readonly visibleClock: VisibleClock;
  /**
   * Called once the model's need of GPU memory is known from its header, before anything else is read. Others may be
   * unloaded. @returns bytes that it may take @throws TabserveError `out_of_memory`, `model_busy`
   */
  readonly reserve: (need: GpuNeed) => Promise<number>;
}

export type LoadModel = (options: LoadOptions, context: LoadContext) => Promise<ServedModel>;
