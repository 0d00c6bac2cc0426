import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PendingRequests } from '../../../src/client/pending-requests.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import type { FinishFrame } from '../../../src/core/frames.ts';

const onDeadline = vi.fn();
let pending: PendingRequests;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  pending = new PendingRequests(onDeadline.mockReset());
});
afterEach(() => void vi.useRealTimers());

function add(requestId: string, timeoutMs: number, called = performance.now()) {
  const rest = { prompt: { text: 'Hi' }, maxTokens: 5, temperature: 1, seed: 3, stop: [] };
  return pending.add({ requestId, ...rest, scheduling: { timeoutMs } }, called);
}

const finish: FinishFrame = {
  type: 'finish', request: 'r', choice: 0, finishReason: 'stop', text: '', promptTokens: 1, cachedTokens: 0, completionTokens: 1,
  queueMs: 0,
};

test('a request’s time is over once it has passed since the call', () => {
  const { frames } = add('r', 1000, performance.now() - 400);
  vi.advanceTimersByTime(599);
  expect(onDeadline).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onDeadline).toHaveBeenCalledExactlyOnceWith(frames, expect.objectContaining({ code: 'deadline_exceeded' }));
});

test.each([
  ['has been answered', () => pending.deliver(finish, performance.now())],
  ['has failed', () => void pending.fail('r', new TabserveError('aborted', 'by its caller'))],
])('one that %s has no time limit any more', (_what, end) => {
  add('r', 1000);
  expect(vi.getTimerCount()).toBe(1);
  end();
  expect(vi.getTimerCount()).toBe(0);
});

test('a limit longer than a timer takes is kept, too', () => {
  add('r', 2 ** 32);
  vi.advanceTimersByTime(2 ** 32 - 1);
  expect(onDeadline).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onDeadline).toHaveBeenCalledTimes(1);
});
