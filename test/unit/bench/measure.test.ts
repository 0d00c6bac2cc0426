import { expect, test } from 'vitest';
import { measureAll, nothingMeasured, type Run, type State } from '../../bench/measure.mjs';
import { readOptions } from '../../bench/options.mjs';
import { BENCH_HEAD } from '../../support/bench-results.ts';

const LIMITS = { readGBps: 1, f32Gflops: 2, dispatchUs: 3, submitUs: 4, readbackMs: 5 };

/** A bench whose pages answer at once; `fails` and `aborts` name the part that does so. */
function fakeRun(args: readonly string[], { fails = '', aborts = '' } = {}) {
  const asked: string[] = [];
  const abort = new AbortController();
  let pages = 0;
  const evaluate = async (call: string): Promise<unknown> => {
    if (call.startsWith('bench.subject')) return { adapter: BENCH_HEAD.adapter, modelName: 'Small' };
    const part = /measure\("(\w+)"/.exec(call)?.[1] ?? '';
    asked.push(`${pages}: ${part}`);
    if (part === aborts) abort.abort();
    if (part === fails || part === aborts) throw new Error('no tokens');
    return part === 'limits' ? LIMITS : { promptTokens: 37, ttftMs: [100 * pages] };
  };
  const nothing = async (): Promise<undefined> => undefined;
  const page = { on: nothing, exposeFunction: nothing, goto: nothing, waitForFunction: nothing, close: nothing, evaluate };
  const subjects: string[] = [];
  const run = {
    browser: { newPage: async () => (pages++, page) },
    server: { pageUrl: '', modelUrl: 'm', modelBytesSent: () => 0 },
    options: readOptions(args),
    signal: abort.signal,
    onSubject: async ({ modelName }: { readonly modelName: string }) => void subjects.push(modelName),
    onPart: () => undefined,
    log: () => undefined,
  } as unknown as Run;
  return { run, asked, subjects };
}

test('each repetition measures every part in a page of its own, and samples come together', async () => {
  const { run, asked, subjects } = fakeRun(['--only', 'ttft', '--repeat', '2']);
  const state = nothingMeasured();
  await measureAll(run, state);
  expect(asked).toEqual(['1: limits', '1: ttft', '2: limits', '2: ttft']);
  expect(subjects).toEqual(['Small']);
  expect(state.parts).toMatchObject({ limits: { repetitions: 2 }, ttft: { repetitions: 2 } });
  expect(state.rows.filter(({ part }) => part === 'ttft').map(({ samples }) => samples)).toEqual([[100], [200]]);
});

test('a part that fails is told, and leaves the others’ figures', async () => {
  const { run } = fakeRun(['--only', 'ttft'], { fails: 'limits' });
  const state = nothingMeasured();
  await measureAll(run, state);
  expect(state.failures).toEqual(['limits failed: no tokens']);
  expect(Object.keys(state.parts)).toEqual(['ttft']);
});

test('what a run has already is not measured again', async () => {
  const { run, asked } = fakeRun(['--only', 'ttft', '--repeat', '2']);
  const state: State = { ...nothingMeasured(), parts: { limits: { repetitions: 2, seconds: 1 }, ttft: { repetitions: 1, seconds: 1 } } };
  await measureAll(run, state);
  expect(asked).toEqual(['1: ttft']);
  expect(state.parts).toMatchObject({ ttft: { repetitions: 2 } });
});

test('an interrupted part is no failure, and nothing comes after it', async () => {
  const { run, asked } = fakeRun(['--only', 'ttft', '--repeat', '3'], { aborts: 'ttft' });
  const state = nothingMeasured();
  await measureAll(run, state);
  expect(asked).toEqual(['1: limits', '1: ttft']);
  expect(state.failures).toEqual([]);
  expect(state.parts).not.toHaveProperty('ttft');
});
