import { emptyCounters, emptyStats, type EngineMetrics, type ModelState } from '../core/metrics.ts';
import type { ServedModel } from './served-model.ts';

/** The part of the metrics that one model contributes. */
export type ModelMetrics = Omit<EngineMetrics, 'sessions' | 'models'>;

/** @param model undefined while there is none on the GPU: then all of its requests wait */
export function metricsOf(model: ServedModel | undefined, state: ModelState, numRequests: number): ModelMetrics {
  return {
    ...(model?.engine.stats() ?? { ...emptyStats(), requestsWaiting: numRequests }),
    state,
    model: model?.info.id,
    adapter: model?.adapter,
    counters: model?.counters() ?? emptyCounters(),
    tuning: model?.tuning(),
    invariance: model?.invariance(),
    kernelsToCompile: model?.kernelsToCompile() ?? 0,
  };
}
