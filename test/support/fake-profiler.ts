import { TabserveError } from '../../src/core/errors.ts';
import type { AdapterLimits, Profiler, StepProfile } from '../../src/core/profile.ts';

export const FAKE_LIMITS: AdapterLimits = {
  readGBps: 100, readBytes: 2 ** 24, f32Gflops: 1000, f16Gflops: undefined, int8Gops: undefined, dispatchUs: 2, submitUs: 9,
  readbackMs: 0.5,
};

/** A profile of `steps` steps that took no time. */
export function fakeProfile(steps: number): StepProfile {
  return {
    adapter: { vendor: 'fake', architecture: 'fake', device: '', description: '', isSoftware: true, features: [] },
    limits: undefined, phase: 'decode', steps, rows: 1, ms: 0, spanMs: 0, resolutionUs: 0, lostSpans: 0, kernels: [],
    dispatches: [],
  };
}

/** That of an adapter that can do nothing. */
export const noProfiler: Profiler = {
  profile: async () => {
    throw new TabserveError('profiling_unavailable', 'There is no GPU.');
  },
  measureLimits: async () => {
    throw new TabserveError('profiling_unavailable', 'There is no GPU.');
  },
};
