import { describe, expect, test } from 'vitest';
import { WORDS } from '../../../demo/src/problem-words.ts';
import { isProblem, toProblem } from '../../../demo/src/problems.ts';
import { webGpuHelp } from '../../../demo/src/webgpu-help.ts';
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
  expect(hasButton || ['webgpu_unavailable', 'profiling_unavailable'].includes(code)).toBe(true);
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

test.each([
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1', 'iPhone and iPad', 'Feature Flags'],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox', 'about:config'],
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/112.0 Safari/537.36', 'Chrome', 'chrome://gpu'],
  ['Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/112.0 Safari/537.36 Edg/112.0', 'Edge', 'graphics acceleration'],
  ['Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15', 'Safari', 'Develop'],
  ['Lynx', 'This browser', 'Update it'],
])('without WebGPU, %s is told what to do', (userAgent, browser, step) => {
  const help = webGpuHelp(userAgent, true);
  expect(help.browser).toBe(browser);
  expect(help.steps.join(' ')).toContain(step);
  expect(help.steps.join(' ')).not.toMatch(/ from \.|undefined/);
  expect(webGpuHelp(userAgent, false).steps[0]).toContain('https');
});
