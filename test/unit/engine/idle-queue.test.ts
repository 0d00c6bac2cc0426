import { expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { IdleSteps, IdleTask } from '../../../src/core/idle-task.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { VisibleClock } from '../../../src/core/visible-clock.ts';
import { IdleQueue } from '../../../src/engine/idle-queue.ts';
import { settle } from './virtual-gpu.ts';

/** A queue, an engine that has requests when the test says so, and a record of what happened. */
function setUp() {
  const state = { isBusy: false };
  const events: string[] = [];
  const logged: string[] = [];
  const gpuLock = new GpuLock();
  const visibleClock = new VisibleClock(() => 0, true);
  const queue = new IdleQueue({ isBusy: () => state.isBusy, gpuLock, visibleClock, log: (_level, line) => void logged.push(line) });
  const ends = new Map<string, (error?: unknown) => void>();
  /** A step that begins when it may, and ends when the test says so. */
  const step = (name: string) => () => new Promise<void>((resolve, reject) => {
    events.push(name);
    ends.set(name, (error) => (error === undefined ? resolve() : reject(error)));
  });
  const end = async (name: string, error?: unknown): Promise<void> => {
    ends.get(name)?.(error);
    await settle();
  };
  const task = (run: (steps: IdleSteps) => Promise<void>, options: Partial<IdleTask> = {}): IdleTask => ({
    failure: 'The task has failed', run, ...options,
  });
  const becomeIdle = async (): Promise<void> => {
    state.isBusy = false;
    queue.onIdle();
    await settle();
  };
  return { state, events, logged, gpuLock, visibleClock, queue, step, end, task, becomeIdle };
}

test('steps wait until the engine has been idle, and each until no request runs or waits', async () => {
  const { state, events, queue, step, end, task, becomeIdle } = setUp();
  queue.add(task(async ({ shared }) => {
    await shared(step('a1'));
    await shared(step('a2'));
  }));
  await settle();
  expect(events).toEqual([]);
  await becomeIdle();
  expect(events).toEqual(['a1']);
  state.isBusy = true;
  await end('a1');
  expect(events).toEqual(['a1']);
  await becomeIdle();
  expect(events).toEqual(['a1', 'a2']);
});

test('a task that may run beside requests begins at once, and does not pause for them', async () => {
  const { state, events, queue, step, end, task } = setUp();
  queue.add(task(async ({ shared }) => {
    await shared(step('a1'));
    await shared(step('a2'));
  }, { besideRequests: true }));
  state.isBusy = true;
  await settle();
  await end('a1');
  expect(events).toEqual(['a1', 'a2']);
});

test('shared steps of several tasks run together; an exclusive one waits for the tasks before it, and has the GPU alone', async () => {
  const { events, gpuLock, queue, step, end, task, becomeIdle } = setUp();
  queue.add(task(({ shared }) => shared(step('a'))));
  queue.add(task(async ({ shared }) => {
    await shared(step('b1'));
    await shared(step('b2'));
  }));
  queue.add(task(({ exclusive }) => exclusive(step('measures'))));
  await becomeIdle();
  expect(events).toEqual(['a', 'b1']);
  expect(gpuLock.numHolders).toBe(2);
  await end('a');
  await end('b1');
  expect(events).toEqual(['a', 'b1', 'b2']);
  const release = await gpuLock.hold(); // another model answers
  await end('b2');
  expect(events).toEqual(['a', 'b1', 'b2']);
  release();
  await settle();
  expect(events).toEqual(['a', 'b1', 'b2', 'measures']);
  const held = gpuLock.hold();
  await settle();
  expect(gpuLock.numHolders).toBe(0);
  await end('measures');
  await held;
});

test('steps of a task that needs a visible tab wait for one; those of other tasks do not', async () => {
  const { events, gpuLock, visibleClock, queue, step, end, task, becomeIdle } = setUp();
  visibleClock.setVisible(false);
  queue.add(task(({ shared }) => shared(step('a'))));
  queue.add(task(async ({ shared, exclusive }) => {
    await shared(step('b'));
    await exclusive(step('m1'));
    await exclusive(step('m2'));
  }, { needsVisibleTab: true }));
  await becomeIdle();
  await end('a');
  expect(events).toEqual(['a']);
  visibleClock.setVisible(true);
  await settle();
  expect(events).toEqual(['a', 'b']);
  visibleClock.setVisible(false);
  await end('b');
  expect(events).toEqual(['a', 'b']);
  // Hidden while it waits for the GPU, it waits for a tab again, and leaves the GPU to others.
  const release = await gpuLock.hold();
  visibleClock.setVisible(true);
  await settle();
  visibleClock.setVisible(false);
  release();
  await settle();
  expect(events).toEqual(['a', 'b']);
  (await gpuLock.hold())();
  visibleClock.setVisible(true);
  await settle();
  expect(events).toEqual(['a', 'b', 'm1']);
  await end('m1');
  expect(events).toEqual(['a', 'b', 'm1', 'm2']);
});

test('an exclusive step waits again when a task before it has work again', async () => {
  const { state, events, queue, step, end, task, becomeIdle } = setUp();
  queue.add(task(({ shared }) => shared(step('a'))));
  queue.add(task(async ({ exclusive }) => {
    await exclusive(step('m1'));
    await exclusive(step('m2'));
  }));
  await becomeIdle();
  await end('a');
  state.isBusy = true;
  await end('m1');
  await becomeIdle();
  expect(events).toEqual(['a', 'm1', 'a']);
  await end('a');
  expect(events).toEqual(['a', 'm1', 'a', 'm2']);
});

test('a task runs once more where idle moments came during its last run', async () => {
  const { events, queue, step, end, task, becomeIdle } = setUp();
  queue.add(task(({ shared }) => shared(step('run'))));
  await becomeIdle();
  await becomeIdle();
  await becomeIdle();
  expect(events).toEqual(['run']);
  await end('run');
  expect(events).toEqual(['run', 'run']);
  await end('run');
  await queue.settled();
  expect(events).toEqual(['run', 'run']);
  await becomeIdle();
  expect(events).toEqual(['run', 'run', 'run']);
});

test('settled waits for all tasks, paused ones too', async () => {
  const { state, queue, step, end, task, becomeIdle } = setUp();
  let isSettled = false;
  queue.add(task(async ({ shared }) => {
    await shared(step('a1'));
    await shared(async () => {});
  }));
  await becomeIdle();
  void queue.settled().then(() => (isSettled = true));
  state.isBusy = true;
  await end('a1');
  expect(isSettled).toBe(false);
  await becomeIdle();
  await end('a1'); // of the run that the second idle moment asked for
  expect(isSettled).toBe(true);
});

test('a task that fails is logged and not run again; a lost GPU is not logged; the others go on', async () => {
  const { events, logged, queue, step, end, task, becomeIdle } = setUp();
  for (const name of ['a', 'b', 'c']) queue.add(task(({ shared }) => shared(step(name))));
  await becomeIdle();
  await end('a', new Error('full'));
  await end('b', new TabserveError('device_lost', 'gone'));
  await end('c');
  await becomeIdle();
  expect(logged).toEqual(['The task has failed: Error: full']);
  expect(events).toEqual(['a', 'b', 'c', 'c']);
});

test.each(['shared', 'exclusive'] as const)('stopped, it ends after the %s step under way, and says nothing', async (way) => {
  const { events, logged, queue, step, end, task, becomeIdle } = setUp();
  queue.add(task(async (steps) => {
    await steps[way](step('a1'));
    events.push('after a1');
    await steps[way](step('a2'));
  }));
  queue.add(task(async ({ exclusive }) => exclusive(step('waits'))));
  await becomeIdle();
  let hasEnded = false;
  void queue.stop().then(() => (hasEnded = true));
  await settle();
  expect(hasEnded).toBe(false);
  await end('a1', way === 'shared' ? undefined : new Error('the GPU is gone'));
  expect(hasEnded).toBe(true);
  await becomeIdle();
  expect([events, logged]).toEqual([['a1'], []]);
  await expect(queue.measure(async () => 1)).rejects.toMatchObject({ code: 'closed' });
});

test('stopped before the engine was ever idle, nothing begins', async () => {
  const { events, queue, step, task } = setUp();
  queue.add(task(({ shared }) => shared(step('a'))));
  await queue.stop();
  expect(events).toEqual([]);
});

test('what is measured on demand does not wait for the tasks, only for the GPU', async () => {
  const { events, gpuLock, queue, step, end, task, becomeIdle } = setUp();
  queue.add(task(async ({ shared }) => {
    await shared(step('a1'));
    await shared(step('a2'));
  }));
  await becomeIdle();
  expect(queue.isGpuFree).toBe(false);
  const measured = queue.measure(async () => {
    events.push('measures');
    return gpuLock.numHolders;
  });
  await end('a1');
  expect(events).toEqual(['a1', 'measures', 'a2']);
  expect(await measured).toBe(0);
});
