import type { Invariance } from './invariance.ts';
import type { TuningMetrics } from './tuning.ts';

/** The GPU's name and capabilities. */
export interface AdapterSummary {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** Whether it is a CPU pretending (SwiftShader, lavapipe, WARP). */
  readonly isSoftware: boolean;
  /** Whether it has WebGPU's compatibility mode only, with lower limits: GPUs without Vulkan, Metal or D3D12. @default false */
  readonly isCompatibility?: boolean;
  /** The optional features in use, e.g. `subgroups`. */
  readonly features: readonly string[];
}

/** The cost of engine steps, counted by the runner. */
export interface StepCounters {
  readonly steps: number;
  /** Compute dispatches. */
  readonly dispatches: number;
  /** Submits to the GPU's queue. */
  readonly submits: number;
  readonly bindGroupsCreated: number;
  /** Bytes read back from the GPU. */
  readonly bytesReadBack: number;
}

/** The counters before the first step. */
export function emptyCounters(): StepCounters {
  return { steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 };
}

/** The numbers that the scheduler contributes to {@link EngineMetrics}. */
export interface SchedulerStats {
  /** Requests in the batch. */
  readonly requestsRunning: number;
  /** Requests in the queue. */
  readonly requestsWaiting: number;
  /** KV blocks that requests hold. */
  readonly kvBlocksUsed: number;
  /** KV blocks in all. */
  readonly kvBlocksTotal: number;
  /** Tokens a KV block. */
  readonly kvBlockSize: number;
  /** Times that a running request lost its KV blocks to another and had to be computed again, since the model was loaded. */
  readonly preemptions: number;
  /** Prompt tokens since the model was loaded, of requests whose first token has come. */
  readonly promptTokens: number;
  /** Tokens generated since the model was loaded. */
  readonly generationTokens: number;
  /** Prompt tokens looked up in the prefix cache (vLLM's `prefix_cache_queries`). */
  readonly prefixCacheQueries: number;
  /** Prompt tokens found there, whichever session had put them there (vLLM's `prefix_cache_hits`). */
  readonly prefixCacheHits: number;
}

/** The numbers that the engine contributes. */
export interface EngineStats extends SchedulerStats {
  /** Prompt tokens a second over the last steps that had nothing but prompts; 0 while unknown. */
  readonly prefillTokensPerSecond: number;
  /** Generated tokens a second, of all requests together, over the last steps that only decoded; 0 while unknown. */
  readonly decodeTokensPerSecond: number;
}

/** The numbers where there is no engine. */
export function emptyStats(): EngineStats {
  return {
    requestsRunning: 0, requestsWaiting: 0, kvBlocksUsed: 0, kvBlocksTotal: 0, kvBlockSize: 0, preemptions: 0,
    promptTokens: 0, generationTokens: 0, prefixCacheQueries: 0, prefixCacheHits: 0,
    prefillTokensPerSecond: 0, decodeTokensPerSecond: 0,
  };
}

/**
 * `idle`: none was asked for. `recovering`: the GPU was lost, or given up, and requests wait until it is back. `parked`:
 * another model, or another engine of this origin, wanted the GPU while this one had nothing to do; the next request takes
 * it back.
 */
export type ModelState = 'idle' | 'loading' | 'ready' | 'recovering' | 'parked' | 'failed';

/** A model that the engine's worker has, of any tab's. */
export interface ResidentModel {
  /** As in `client.model.id`. */
  readonly id: string;
  readonly state: ModelState;
  /** The GPU memory that it takes, or that is reserved while it loads. */
  readonly gpuBytes: number;
  /** Tabs (clients) that have loaded it. */
  readonly sessions: number;
}

/** The state of a tab's own model, and of the worker that all tabs share. */
export interface EngineMetrics extends EngineStats {
  readonly state: ModelState;
  /** The tab's own model, as in `client.model.id`; undefined where it has none. */
  readonly model: string | undefined;
  /** The GPU that the model is on; undefined while it is on none. */
  readonly adapter: AdapterSummary | undefined;
  /** Tabs (clients) that are connected, of all models. */
  readonly sessions: number;
  /** All that are loaded, the tab's own among them. */
  readonly models: readonly ResidentModel[];
  /** Sums since the model was loaded. */
  readonly counters: StepCounters;
  /** How kernels are fitted to the adapter; undefined while no model is loaded. */
  readonly tuning: TuningMetrics | undefined;
  /** Whether answers were seen not to depend on the batch on this adapter; undefined while no model is loaded. */
  readonly invariance: Invariance | undefined;
  /**
   * Kernels that the model was ready without, and that are compiled in the next idle moment; until then others do their
   * work, slower. A software adapter compiles only those that requests have needed.
   */
  readonly kernelsToCompile: number;
}

/** Where one request's time has gone so far, as its tab saw it. */
export interface RequestTimings {
  /** Milliseconds from reaching the worker to the first scheduled step; undefined until the request has ended. */
  readonly queue_ms: number | undefined;
  /** Milliseconds from the call to the first text seen by the tab; undefined until then. */
  readonly ttft_ms: number | undefined;
  /** Mean milliseconds between tokens after the first; undefined with fewer than two tokens. */
  readonly itl_ms: number | undefined;
  /** Tokens a second after the first; undefined with fewer than two tokens. */
  readonly tokens_per_second: number | undefined;
}
