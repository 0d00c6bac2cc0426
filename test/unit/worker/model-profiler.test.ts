import { expect, test, vi } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { ProfileOptions, Profiler } from '../../../src/core/profile.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { IdleQueue } from '../../../src/engine/idle-queue.ts';
import { ModelProfiler } from '../../../src/worker/model-profiler.ts';
import { FAKE_LIMITS, fakeProfile } from '../../support/fake-profiler.ts';

/** A profiler beside an engine that is idle, or works until the test says so. */
async function setUp(isWorking = false) {
  const measureLimits = vi.fn(async () => FAKE_LIMITS);
  const profile = vi.fn<Profiler['profile']>(async ({ steps }, limits) => ({ ...fakeProfile(steps), limits }));
  const gpuLock = new GpuLock();
  const idleQueue = new IdleQueue({ isBusy: () => isWorking, gpuLock, log: () => {} });
  const becomeIdle = isWorking ? await gpuLock.hold() : () => {};
  let lose: (error: TabserveError) => void = () => {};
  const lost = new Promise<TabserveError>((resolve) => (lose = resolve));
  const profiler = new ModelProfiler({ profiler: { measureLimits, profile }, idleQueue, lost });
  return { profiler, measureLimits, profile, becomeIdle, gpuLock, lose: (error: TabserveError) => lose(error) };
}

test('limits are measured once, and only while the engine is idle', async () => {
  const { profiler, measureLimits, becomeIdle } = await setUp(true);
  const both = [profiler.limits(), profiler.limits()];
  await new Promise((resolve) => setTimeout(resolve));
  expect(measureLimits).not.toHaveBeenCalled();
  becomeIdle();
  expect(await Promise.all(both)).toEqual([FAKE_LIMITS, FAKE_LIMITS]);
  expect(await profiler.limits()).toBe(FAKE_LIMITS);
  expect(measureLimits).toHaveBeenCalledTimes(1);
});

test('limits that could not be measured are measured again when asked for again', async () => {
  const { profiler, measureLimits } = await setUp();
  measureLimits.mockRejectedValueOnce(new TabserveError('out_of_memory', 'full'));
  await expect(profiler.limits()).rejects.toMatchObject({ code: 'out_of_memory' });
  expect(await profiler.limits()).toBe(FAKE_LIMITS);
});

test('a profile of an idle engine comes with the limits; one of a busy engine does not wait for them', async () => {
  const idle = await setUp();
  expect(await idle.profiler.profile({})).toMatchObject({ steps: 8, limits: FAKE_LIMITS });
  expect(await idle.profiler.profile({ steps: 3 })).toMatchObject({ steps: 3, limits: FAKE_LIMITS });
  expect(idle.measureLimits).toHaveBeenCalledTimes(1);
  expect(idle.profile.mock.calls[1]?.[0]).toEqual({ steps: 3, phase: 'decode', timeoutMs: 10_000 });
  const busy = await setUp(true);
  expect(await busy.profiler.profile({ phase: 'prefill' })).toMatchObject({ limits: undefined });
  expect(busy.measureLimits).not.toHaveBeenCalled();
});

test('a GPU that is lost while its limits are measured holds up no other', async () => {
  const { profiler, measureLimits, gpuLock, lose } = await setUp();
  measureLimits.mockReturnValue(new Promise(() => {}));
  const measuring = profiler.limits();
  const another = gpuLock.hold();
  lose(new TabserveError('device_lost', 'gone'));
  await expect(measuring).rejects.toMatchObject({ code: 'device_lost' });
  await another;
});

test('who waits when the GPU is lost hears of it', async () => {
  const { profiler, profile, lose } = await setUp(true);
  profile.mockReturnValue(new Promise(() => {}));
  const waiting = [profiler.limits(), profiler.profile({})];
  lose(new TabserveError('device_lost', 'gone'));
  for (const each of waiting) await expect(each).rejects.toMatchObject({ code: 'device_lost' });
});

test.each<[unknown, string]>([
  [{ steps: 0 }, 'steps'],
  [{ steps: 2.5 }, 'steps'],
  [{ steps: 101 }, 'steps'],
  [{ phase: 'both' }, 'phase'],
  [{ timeoutMs: 0 }, 'timeoutMs'],
  [{ timeoutMs: Infinity }, 'timeoutMs'],
])('%o is refused by name', async (options, param) => {
  const { profiler, profile } = await setUp();
  await expect(profiler.profile(options as ProfileOptions)).rejects.toMatchObject({ code: 'invalid_request', param });
  expect(profile).not.toHaveBeenCalled();
});
