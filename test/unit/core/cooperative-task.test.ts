import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runSyncOrCooperatively, runCooperatively, type Task } from '../../../src/core/cooperative-task.ts';
import { yieldToEventLoop } from '../../../src/core/yield-to-event-loop.ts';

/** Each look at the clock finds it 5 ms later, so that a time slice is over after two steps. */
let now = 0;
beforeEach(() => void vi.spyOn(performance, 'now').mockImplementation(() => (now += 5)));
afterEach(() => vi.restoreAllMocks());

const steps: string[] = [];
beforeEach(() => void steps.splice(0));

function* task(name: string, count: number): Task<string> {
  for (let i = 0; i < count; i++) {
    steps.push(name);
    yield;
  }
  return `${name} is done`;
}

const never = new AbortController().signal;

test('a task that never yields runs synchronously', () => {
  expect(runSyncOrCooperatively(task('a', 0), never)).toBe('a is done');
});

test('however many tasks there are, the event loop is free after each time slice, and every task goes on', async () => {
  const all = ['a', 'b', 'c', 'd'].map((name) => Promise.resolve(runSyncOrCooperatively(task(name, 9), never)));
  expect(steps.join('')).toBe('abcd');
  let isOver = false;
  const done = Promise.all(all).finally(() => (isOver = true));
  const slices: string[] = [];
  for (let seen = steps.length; !isOver; seen = steps.length) {
    await yieldToEventLoop();
    slices.push(steps.slice(seen).join(''));
  }
  expect(await done).toEqual(['a is done', 'b is done', 'c is done', 'd is done']);
  // Between two slices, of the same task or of two, the event loop is free.
  for (const slice of slices) expect(slice).toMatch(/^(a*|b*|c*|d*)$/);
  expect(Math.max(...slices.map((slice) => slice.length))).toBeLessThanOrEqual(2);
  expect(slices.filter((slice) => slice !== '').slice(0, 4).map((slice) => slice[0])).toEqual(['a', 'b', 'c', 'd']);
});

test('loads share the event loop with prompts', async () => {
  await Promise.all([runCooperatively(task('load', 8)), runSyncOrCooperatively(task('prompt', 8), never)]);
  expect(steps.lastIndexOf('load')).toBeGreaterThan(steps.indexOf('prompt'));
  expect(steps.lastIndexOf('prompt')).toBeGreaterThan(steps.indexOf('load'));
});

test('a task that is aborted ends with the reason, and does no more', async () => {
  const given = new AbortController();
  const promise = runSyncOrCooperatively(task('a', 9), given.signal);
  given.abort(new Error('given up'));
  await expect(promise).rejects.toThrow('given up');
  expect(steps).toEqual(['a']);
});
