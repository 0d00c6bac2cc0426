import { expect, test } from 'vitest';
import { formatFineDuration, formatSignificant, share } from '../../../demo/src/format.ts';
import { Profiling, type ProfilingState } from '../../../demo/src/profiling.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import type { AdapterLimits, StepProfile } from '../../../src/index.ts';
import { FAKE_LIMITS, fakeProfile } from '../../support/fake-profiler.ts';

const KERNEL = { name: 'matmul', calls: 1, ms: 1, share: 1, bytes: 1, macs: 1, gbps: 50, gflops: 1, ofCeiling: undefined };
const PROFILE: StepProfile = { ...fakeProfile(8), kernels: [KERNEL] };

function setUp() {
  const seen: ProfilingState['kind'][] = [];
  const profiling: Profiling = new Profiling(() => seen.push(profiling.state.kind));
  return { profiling, seen };
}

test('a profile without ceilings is shown at once, and with them when they are there', async () => {
  const { profiling, seen } = setUp();
  let measure = (_limits: AdapterLimits): void => {};
  const limits = new Promise<AdapterLimits>((resolve) => (measure = resolve));
  const running = profiling.run({ profile: async () => PROFILE, limits: () => limits });
  await new Promise((resolve) => setTimeout(resolve));
  expect(profiling.state).toEqual({ kind: 'ready', profile: PROFILE });
  measure(FAKE_LIMITS);
  await running;
  expect(profiling.state).toMatchObject({ profile: { limits: FAKE_LIMITS, kernels: [{ ofCeiling: 0.5 }] } });
  expect(seen).toEqual(['waiting', 'ready', 'ready']);
});

test('ceilings that cannot be measured leave the profile', async () => {
  const { profiling, seen } = setUp();
  await profiling.run({ profile: async () => PROFILE, limits: () => Promise.reject(new Error('no')) });
  expect([profiling.state.kind, ...seen]).toEqual(['ready', 'waiting', 'ready']);
});

test('what goes wrong is said in words, what to do above all', async () => {
  const { profiling } = setUp();
  const fail = (error: Error) => profiling.run({ profile: () => Promise.reject(error), limits: async () => FAKE_LIMITS });
  await fail(new TabserveError('deadline_exceeded', 'no step'));
  expect(profiling.state).toEqual({ kind: 'failed', message: expect.stringContaining('Ask something') });
  await fail(new TabserveError('profiling_unavailable', 'no timestamps here'));
  expect(profiling.state).toEqual({ kind: 'failed', message: 'no timestamps here' });
});

test('what comes after another model was loaded is not shown', async () => {
  const { profiling } = setUp();
  let answer = (_profile: StepProfile): void => {};
  const running = profiling.run({ profile: () => new Promise((resolve) => (answer = resolve)), limits: async () => FAKE_LIMITS });
  profiling.reset();
  answer(PROFILE);
  await running;
  expect(profiling.state).toEqual({ kind: 'none' });
});

test('numbers have the digits that say something', () => {
  expect([0.0004, 0.5123, 1.5432, 149.37, 2639.5].map(formatFineDuration)).toEqual(['0 µs', '512 µs', '1.54 ms', '149 ms', '2,640 ms']);
  expect([0, 0.2134, 4.749, 13.21, 4321.4].map(formatSignificant)).toEqual(['0', '0.213', '4.75', '13.2', '4,321']);
  expect([0, 0.0042, 0.09951, 0.3698, 1.204].map(share)).toEqual(['0.0 %', '0.4 %', '10 %', '37 %', '120 %']);
});
