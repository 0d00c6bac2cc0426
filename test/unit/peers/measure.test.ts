import { expect, test, vi } from 'vitest';
import { measureAll } from '../../peers/measure.mjs';
import { Omitted } from '../../peers/omitted.mjs';
import { makeReport } from '../../peers/report.mjs';

const task = { name: 'story', messages: [], promptText: '', promptTokenIds: [1, 2, 3, 4], maxTokens: 3 };
const answer = { ttftMs: 10, lastMs: 30, promptTokens: 4, outputTokens: 3, text: 'Once upon' };
const MACHINE = { os: 'Some 1', cpu: 'one x 2', cores: 2, loadAverage: 0 };
const subject = { version: '1', device: 'some', settings: {} };

function plan(calls: string[] = []) {
  const expected = { ids: [5, 6, 7], texts: ['On', 'Once', 'Once upon'] };
  return { task, expected, repeats: 2, requests: 4, limitMs: 500, log: (line: string) => calls.push(line) };
}

function entry(engine: string, changes = {}) {
  const together = async () => ({ wallMs: 100, answers: [answer, answer] });
  const prepare = async () => ({ subject, loadMs: 7 });
  const peer = { prepare, run: async () => answer, together, inTabs: together, close: vi.fn(async () => {}), ...changes };
  return { engine, backend: 'wasm' as const, weights: 'Q4_1', peer };
}

test('all are asked in turn, round after round', async () => {
  const calls: string[] = [];
  await measureAll([entry('a'), entry('b')], plan(calls));
  const names = ['a wasm Q4_1', 'b wasm Q4_1'];
  const round = (what: string) => names.map((name) => `${what}: ${name}`);
  const twice = (what: string) => [...round(what), ...round(what)];
  expect(calls).toEqual([...round('load'), ...twice('answer'), ...twice('at once'), ...twice('tabs')]);
});

test('one that fails or is late is closed and asked no more, and the others are', async () => {
  const fails = entry('fails', { run: async () => ({ ...answer, outputTokens: 0 }) });
  const late = entry('late', { run: () => new Promise(() => {}) });
  const absent = entry('absent', { prepare: async () => { throw new Omitted('not in this browser'); } }); // prettier-ignore
  const alone = entry('alone', { inTabs: undefined });
  const all = [fails, late, absent, alone, entry('fine')];
  const figures = await measureAll(all, plan());

  expect(figures.map(({ runs, together, tabs }) => [runs.length, together.length, tabs.length])).toEqual([
    [0, 0, 0], [0, 0, 0], [0, 0, 0], [2, 2, 0], [2, 2, 2],
  ]);
  expect(all.map(({ peer }) => peer.close.mock.calls.length)).toEqual([1, 1, 1, 0, 0]);
  expect(figures.map(({ failures }) => failures.length)).toEqual([1, 0, 0, 0, 0]);

  const about = {
    commit: 'abc1234', command: 'npm run bench:peers', machine: MACHINE, adapter: { name: 'acme', isSoftware: false }, browser: 'Chromium', model: 'm', quick: false,
    missing: new Map([['other', 'npm could not install it']]),
  };
  const report = makeReport(figures, plan(), about);
  expect(report.head.caveats).toEqual(['1 of 5 engines failed at something']);
  expect(report.omitted).toEqual([
    { what: 'fails wasm Q4_1: answer', why: 'failed: it gave 0 tokens, not the 3 asked for' },
    { what: 'late wasm Q4_1: answer', why: 'it takes longer than 0.5 s' },
    { what: 'absent wasm Q4_1: load', why: 'not in this browser' },
    { what: 'alone wasm Q4_1: tabs', why: 'it runs in no browser' },
    { what: 'other', why: 'npm could not install it' },
  ]);
  const quick = makeReport(figures, plan(), { ...about, quick: true, machine: { ...MACHINE, loadAverage: 1.2 } });
  expect(quick.head.caveats).toEqual([
    'the machine is busy: load average 1.20 on 2 cores before the start', 'a quick run', '1 of 5 engines failed at something',
  ]);
  const fine = report.rows.filter(({ dimensions }) => dimensions['engine'] === 'fine');
  expect(Object.fromEntries(fine.map(({ metric, samples }) => [metric, samples]))).toEqual({
    prefill: [400, 400], decode: [100, 100], TTFT: [10, 10], load: [7], 'leading tokens as expected': [3, 3],
    'output at once in one page': [60, 60], 'output of as many tabs': [60, 60],
  });
});

test('one that is late with several answers is closed too: it would compute on beside the others', async () => {
  const late = entry('late', { together: () => new Promise(() => {}) });
  const [figures] = await measureAll([late], plan());
  expect(figures?.runs.length).toBe(2);
  expect(figures?.tabs.length).toBe(0);
  expect(late.peer.close).toHaveBeenCalledOnce();
});

test('what would take too long as often as asked is left out, and says so once', async () => {
  const slow = entry('slow', { run: async () => ({ ...answer, lastMs: 31 }) });
  const [figures] = await measureAll([slow], { ...plan(), limitMs: 120 });
  expect(figures?.runs.length).toBe(2);
  expect(figures?.together).toEqual([]);
  expect(figures?.omitted).toEqual([
    { what: 'at once', why: 'it would take about 0 s' }, { what: 'tabs', why: 'it would take about 0 s' },
  ]);
});
