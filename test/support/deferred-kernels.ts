import type { LoadedRunner } from '../../src/runner/load-runner.ts';

/** Compiles what a model is ready without, so that each number of tokens has its own kernels. */
export async function compileDeferred({ deferredKernels }: Pick<LoadedRunner, 'deferredKernels'>): Promise<void> {
  await Promise.all(deferredKernels.map((kernel) => kernel.compile()));
}
