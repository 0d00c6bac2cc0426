import type { Budget } from '../../../demo/bench/models/budget.ts';
import { syntheticPart } from '../dawn/model-parts.ts';
import type { RunBench } from './plan.ts';

/** Load, decode and prefill of models of random weights. */
export function modelsPart(bench: RunBench, budget: Budget): Promise<void> {
  return syntheticPart(bench, budget, 'models', bench.sizes.models);
}
