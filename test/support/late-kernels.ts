import type { LoadedRunner } from '../../src/runner/load-runner.ts';

/** Compiles what a model is ready without, so that each number of tokens has its own kernels. */
export async function compileLate({ lateKernels }: Pick<LoadedRunner, 'lateKernels'>): Promise<void> {
  await Promise.all(lateKernels.map((kernel) => kernel.compile()));
}
