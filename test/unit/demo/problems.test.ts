import { describe, expect, test } from 'vitest';
import { WORDS } from '../../../demo/src/problem-words.ts';
import { isProblem, toProblem } from '../../../demo/src/problems.ts';
import { TabserveError, type ErrorCode } from '../../../src/core/errors.ts';

// By its type, WORDS has every code; a code of which it knew nothing would not compile.
const CODES = Object.keys(WORDS) as ErrorCode[];

test.each(CODES)('%s has words of its own, and something to do', (code) => {
  const problem = toProblem(new TabserveError(code, 'why'));
  expect(problem).toMatchObject({ code, detail: 'why' });
  expect(isProblem(structuredClone(problem))).toBe(true);
  expect(problem.title).toMatch(/^[A-Z].*[^.]$/);
  expect(problem.advice).toMatch(/^(tabserve|[A-Z]).*\.$/);
  const hasButton = problem.remedy !== 'none';
  expect(hasButton || code === 'profiling_unavailable').toBe(true);
  expect(CODES.filter((other) => WORDS[other].title === problem.title)).toEqual([code]);
});

describe('the circumstances', () => {
  test('a full queue says when to try again', () => {
    const error = new TabserveError('queue_full', 'why', { details: { retryAfterMs: 1500 } });
    expect(toProblem(error, { now: 1000 }).retryAt).toBe(2500);
    expect(toProblem(new TabserveError('queue_full', 'why')).retryAt).toBeUndefined();
  });

  test('who holds the GPU is named, with what it takes', () => {
    const [loadedModel, id] = ['https://a.test/some%20model.gguf?x=1', 'https://a.test/100%.gguf'];
    const models = [
      { id: loadedModel, gpuBytes: 1e9, sessions: 2, requests: 1 }, { id, gpuBytes: 2e9, sessions: 1, requests: 0 },
    ];
    expect(toProblem(new TabserveError('model_busy', 'why', { details: { loadedModel, models } }))).toMatchObject({
      remedy: 'use-loaded', loadedModel, advice: expect.stringContaining(
        '“some model” has 1.00 GB of it (2 tabs, 1 answer running). “100%” has 2.00 GB of it (1 tab, being loaded).') as string,
    });
    expect(toProblem(new TabserveError('model_busy', 'why', { details: { models } }))).toMatchObject({ remedy: 'reload-model' });
  });

  test('too little memory comes with its figures, where they are known', () => {
    const details = { neededBytes: 5e9, freeBytes: 2e9, budgetBytes: 4e9 };
    expect(toProblem(new TabserveError('out_of_memory', 'why', { details })).advice).toMatch(/\. It takes 5\.00 GB; 2\.00 GB of 4\.00 GB is free\.$/);
    expect(toProblem(new TabserveError('out_of_memory', 'why')).advice).toBe(WORDS.out_of_memory.advice);
  });

  test('offline is told from unreachable and interrupted', () => {
    const failed = new TabserveError('download_failed', 'why');
    const titles = [{ isOnline: false, hasArrived: false }, { hasArrived: false }, {}].map((each) => toProblem(failed, each).title);
    expect(titles).toEqual(['You are offline', 'The model could not be fetched', 'The download was interrupted']);
  });

  test('anything that is thrown is a problem', () => {
    for (const thrown of [new Error('odd'), 'odd', undefined, null, { code: 'toString', message: 'odd' }]) {
      expect(toProblem(thrown)).toMatchObject({ code: 'internal', remedy: 'retry' });
    }
  });
});
