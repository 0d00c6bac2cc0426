import { expect, test } from 'vitest';
import { Scheduler } from '../../../src/scheduler/scheduler.ts';
import { FakeRunner, runAlone } from './fake-runner.ts';
import { CONFIG, makeRequest } from './requests.ts';

// The choices of one completion are requests of the same prompt, told apart by the seed's choice.

const choices = Array.from({ length: 4 }, (_, choice) => {
  const rest = { requestId: `c:${choice}`, choice, completionId: 'c', supersede: 'key' };
  return makeRequest('c', 22, { maxTokens: 9, repetitionPenalty: 1.1 }, rest);
});

test('the prompt is computed once, but for its last block, and no slot of the cache is written by two', () => {
  const runner = new FakeRunner(CONFIG);
  const scheduler = new Scheduler(CONFIG);
  for (const request of choices) expect(scheduler.add(request)).toEqual([]);
  const answers = new Map<string, number[]>();
  for (let plan = scheduler.schedule(0); plan !== undefined; plan = scheduler.schedule(0)) {
    for (const { requestId, newTokenIds } of scheduler.update(plan, runner.executeNow(plan), 0)) {
      answers.set(requestId, [...(answers.get(requestId) ?? []), ...newTokenIds]);
    }
  }
  for (const request of choices) {
    expect(answers.get(request.requestId)).toEqual(runAlone(request, CONFIG.maxModelLen).outputTokenIds);
  }
  expect(new Set([...answers.values()].map(String)).size).toBe(4);

  const { blockSize } = CONFIG;
  const fed = runner.plans.flatMap(({ requests }) => requests);
  const prompt = (requestId: string): number =>
    fed.filter((each) => each.requestId === requestId && each.startPosition < 22).reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
  expect(choices.map(({ requestId }) => prompt(requestId))).toEqual([22, 2, 2, 2]);
  const writers = new Map<number, Set<string>>();
  for (const { requestId, startPosition, tokenIds, blockTable } of fed) {
    for (const [i] of tokenIds.entries()) {
      const block = blockTable[Math.floor((startPosition + i) / blockSize)] ?? -1;
      writers.set(block, (writers.get(block) ?? new Set()).add(requestId));
    }
  }
  expect([...writers.values()].every((ids) => ids.size === 1)).toBe(true);
  scheduler.checkIntegrity();
});

test('choices do not supersede each other; a newer completion supersedes all of them', () => {
  const scheduler = new Scheduler(CONFIG);
  for (const request of choices.slice(0, 3)) expect(scheduler.add(request)).toEqual([]);
  scheduler.schedule(0);
  const newer = { ...makeRequest('d', 9), completionId: 'd', supersede: 'key' };
  const ended = scheduler.add(newer);
  expect(ended.map(({ requestId, finishReason }) => [requestId, finishReason]).toSorted()).toEqual(
    ['c:0', 'c:1', 'c:2'].map((id) => [id, 'abort']),
  );
});
