import type { EngineMetrics, ModelState } from '../core/metrics.ts';
import type { ServedModel } from './served-model.ts';

/** What one model adds to the metrics. */
export type EngineNumbers = Omit<EngineMetrics, 'sessions' | 'models'>;

/** Of a model without an engine. */
const NO_ENGINE = {
  requestsRunning: 0, requestsWaiting: 0, kvBlocksUsed: 0, kvBlocksTotal: 0, kvBlockSize: 0, preemptions: 0,
  promptTokens: 0, generationTokens: 0, prefixCacheQueries: 0, prefixCacheHits: 0,
  prefillTokensPerSecond: 0, decodeTokensPerSecond: 0,
} as const;

const NO_STEPS = { steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 } as const;

/** Of a session that has loaded no model. */
export const NO_MODEL: EngineNumbers = {
  ...NO_ENGINE, state: 'idle', model: undefined, adapter: undefined, counters: NO_STEPS, tuning: undefined,
  kernelsToCompile: 0,
};

/** @param model undefined while it is not on the GPU: then `numRequests` of them wait */
export function numbersOf(model: ServedModel | undefined, state: ModelState, numRequests: number): EngineNumbers {
  return {
    ...(model?.engine.stats() ?? { ...NO_ENGINE, requestsWaiting: numRequests }),
    state,
    model: model?.info.id,
    adapter: model?.adapter,
    counters: model?.counters() ?? NO_STEPS,
    tuning: model?.tuning(),
    kernelsToCompile: model?.kernelsToCompile() ?? 0,
  };
}
