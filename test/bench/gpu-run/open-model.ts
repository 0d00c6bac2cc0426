import { loadSubject, type SubjectSettings } from '../../../demo/bench/models/load-model.ts';
import { syntheticModel, type SyntheticShape } from '../../../demo/bench/models/synthetic-model.ts';
import type { LoadedRunner } from '../../../src/runner/load-runner.ts';

/** Tokens that the KV cache of a model of a check or trial has room for. */
export const MODEL_TOKENS = 512;

/** Loads a model of random weights for its kernels, and destroys it when `use` has ended. */
export async function withModel<T>(
  gpu: GPU,
  shape: SyntheticShape,
  settings: SubjectSettings,
  use: (loaded: LoadedRunner) => Promise<T>,
): Promise<T> {
  const { loaded } = await loadSubject(syntheticModel(shape), { sequences: 1, tokens: MODEL_TOKENS }, gpu, settings);
  try {
    return await use(loaded);
  } finally {
    loaded.destroy();
  }
}
