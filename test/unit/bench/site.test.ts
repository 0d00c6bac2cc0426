import { expect, test, vi } from 'vitest';
import { BenchmarkRun, type RunEnvironment } from '../../../demo/bench/site/benchmark-run.ts';
import { findModel, shownPage, type ModelSearch } from '../../../demo/bench/site/find-model.ts';
import { browserName } from '../../../demo/bench/site/machine.ts';
import { verdictOf } from '../../../demo/bench/site/results-table.ts';
import { requireResults } from '../../bench/results.mjs';
import { caveatsOf, resultsOf } from '../../../demo/bench/site/results.ts';
import type { BenchRow } from '../../../demo/bench/row.ts';
import type { PartRows } from '../../../demo/bench/rows.ts';
import { memoryCache } from '../../support/fake-chat.ts';

const SIGNED = 'X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=secret';

const row = (metric: string, samples: number[], over: Partial<BenchRow> = {}): BenchRow => {
  return { part: 'models', metric, dimensions: { batch: 1 }, unit: 'tok/s', better: 'higher', samples, ...over };
};
const PARTS = ['a', 'b', 'c'].map((name) => ({ name, title: name, what: '' }));
const host = { addController: () => {}, removeController: () => {}, requestUpdate: () => {}, updateComplete: Promise.resolve(true) };

/** A suite whose parts end when the test says so. */
function stage() {
  const ends = new Map<string, { resolve: (result: PartRows) => void; reject: (error: Error) => void }>();
  const opened: { closed: boolean }[] = [];
  const page = { isHidden: false };
  const environment: RunEnvironment = {
    now: () => 0,
    isHidden: () => page.isHidden,
    openSuite: async () => {
      const suite = { closed: false };
      opened.push(suite);
      return {
        measure: (part) => new Promise((resolve, reject) => void ends.set(part, { resolve, reject })),
        close: () => void (suite.closed = true),
      };
    },
  };
  const end = async (part: string) => {
    await vi.waitFor(() => expect(ends.has(part)).toBe(true));
    const called = ends.get(part)!;
    ends.delete(part);
    return called;
  };
  return { run: new BenchmarkRun(host, environment), page, opened, end };
}

test('parts run one after the other in one suite, which is closed in the end', async () => {
  const { run, opened, end } = stage();
  const done = run.start(PARTS);
  for (const { name } of PARTS) {
    const { resolve } = await end(name);
    expect(run.parts.find(({ part }) => part.name === name)?.state).toBe('running');
    resolve({ rows: [row(name, [1])], omitted: [{ what: name, why: 'slow' }] });
  }
  await done;
  expect(run.state).toBe('done');
  expect(run.parts.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
  expect(run.rows.map(({ metric }) => metric)).toEqual(['a', 'b', 'c']);
  expect(run.omitted).toHaveLength(3);
  expect(opened).toEqual([{ closed: true }]);
});

test('a part that fails says why, and the next one gets a whole suite', async () => {
  const { run, opened, end } = stage();
  const done = run.start(PARTS);
  (await end('a')).reject(new Error('no room'));
  for (const name of ['b', 'c']) (await end(name)).resolve({ rows: [row(name, [1])], omitted: [] });
  await done;
  expect(run.parts.map(({ state, note }) => [state, note])).toEqual([['failed', 'no room'], ['done', ''], ['done', '']]);
  expect(run.rows).toHaveLength(2);
  expect(opened).toEqual([{ closed: true }, { closed: true }]);
});

test('stopping ends the part under way at once, and keeps what there is', async () => {
  const { run, opened, end } = stage();
  const done = run.start(PARTS);
  (await end('a')).resolve({ rows: [row('a', [1])], omitted: [] });
  await end('b');
  run.stop();
  await done; // though b never ends
  expect(run.state).toBe('stopped');
  expect(run.parts.map(({ state }) => state)).toEqual(['done', 'stopped', 'waiting']);
  expect(run.rows.map(({ metric }) => metric)).toEqual(['a']);
  expect(opened).toEqual([{ closed: true }]);
});

test('a run during which the page was hidden ends at once, and no figure of it is kept', async () => {
  const { run, opened, end } = stage();
  const done = run.start(PARTS);
  (await end('a')).resolve({ rows: [row('a', [1])], omitted: [{ what: 'a', why: 'slow' }] });
  await end('b');
  run.refuse();
  await done; // though b never ends
  expect([run.state, run.rows, run.omitted]).toEqual(['hidden', [], []]);
  expect(run.parts.map(({ state }) => state)).toEqual(['done', 'stopped', 'waiting']);
  expect(opened).toEqual([{ closed: true }]);
  run.stop();
  expect(run.state).toBe('hidden');

  const again = run.start(PARTS.slice(0, 1));
  (await end('a')).resolve({ rows: [row('a', [2])], omitted: [] });
  await again;
  expect([run.state, run.rows]).toEqual(['done', [row('a', [2])]]);
});

test('a result that comes at the moment when the page is hidden is refused, told of or not', async () => {
  for (const isTold of [true, false]) {
    const { run, page, end } = stage();
    const done = run.start(PARTS);
    (await end('a')).resolve({ rows: [row('a', [1])], omitted: [] });
    const last = await end('b');
    last.resolve({ rows: [row('b', [1])], omitted: [] });
    page.isHidden = true;
    if (isTold) run.refuse();
    await done;
    expect([run.state, run.rows]).toEqual(['hidden', []]);
  }
});

test('a hidden page begins no run', async () => {
  const { run, page, opened } = stage();
  page.isHidden = true;
  await run.start(PARTS);
  expect([run.state, run.rows, opened]).toEqual(['hidden', [], []]);
});

test('a suite that opens after the run was stopped is closed, and measures nothing', async () => {
  let open: (suite: { measure: () => Promise<PartRows>; close: () => void }) => void = () => {};
  const opening = new Promise<Parameters<typeof open>[0]>((resolve) => (open = resolve));
  const suite = { measure: vi.fn(), close: vi.fn() };
  const run = new BenchmarkRun(host, { now: () => 0, isHidden: () => false, openSuite: () => opening });
  const done = run.start(PARTS);
  run.stop();
  await done;
  open(suite);
  await vi.waitFor(() => expect(suite.close).toHaveBeenCalledOnce());
  expect(suite.measure).not.toHaveBeenCalled();
});

test('better is better in the figure’s own direction, and nothing is compared across units', () => {
  expect(verdictOf(row('decode', [20]), row('decode', [10]))).toEqual({ ratio: 2, isBetter: true });
  const ms = { unit: 'ms', better: 'lower' } as const;
  expect(verdictOf(row('itl', [20], ms), row('itl', [10], ms))).toEqual({ ratio: 2, isBetter: false });
  expect(verdictOf(row('itl', [20], ms), row('itl', [10]))).toBeUndefined();
  expect(verdictOf(row('dispatches', [20], { better: 'neither' }), row('dispatches', [10], { better: 'neither' }))).toBeUndefined();
  expect(verdictOf(row('decode', [20]), undefined)).toBeUndefined();
});

test('what a run’s figures lack is said', () => {
  const machine = { vendor: '', architecture: '', device: '', description: '', features: [], browser: '', os: '', cores: 2 };
  const facts = { machine: { ...machine, isSoftware: false }, address: '', model: '', quick: true, date: new Date(0), parts: [], wasStopped: false };
  expect(caveatsOf(facts, [row('decode', [1], { roofline: 1.05 })])).toEqual([]);
  expect(caveatsOf(facts, [row('decode', [1], { roofline: 1.2 })])).toEqual(['models: decode is above what the adapter can do']);
  const parts = [{ part: PARTS[0]!, state: 'failed' as const, ms: 1, note: 'no room' }];
  const worst = { ...facts, machine: { ...machine, isSoftware: true }, wasStopped: true, parts };
  expect(caveatsOf(worst, [])).toEqual([
    'the adapter is software, not a GPU', 'the run was stopped before its end', 'a failed: no room',
  ]);
});

test('a visitor’s file is what the schema of results says', () => {
  vi.stubGlobal('__TABSERVE_BUILD_ID__', '1.2.3');
  vi.stubGlobal('__BENCH_COMMIT__', 'abc');
  const machine = { vendor: 'v', architecture: 'a', device: '', description: '', features: ['subgroups'], browser: 'Chrome 156', os: 'Linux', cores: 2, isSoftware: false };
  const parts = [{ part: PARTS[0]!, state: 'done' as const, ms: 1500, note: '' }];
  const facts = { machine, address: 'https://a.test/bench/', model: 'M', quick: true, date: new Date(0), parts, wasStopped: false };
  const results = requireResults(resultsOf(facts, [row('decode', [1, 2])], [{ what: '8B', why: 'no room' }]), 'the file');
  expect(results).toMatchObject({ clean: true, leftOut: ['8B: no room'], parts: { a: { seconds: 1.5 } }, head: { runtime: 'Chrome 156', commit: 'abc', command: 'https://a.test/bench/' } });
  vi.unstubAllGlobals();
});

test.each([
  ['Mozilla/5.0 Chrome/156.0', [{ brand: 'Not)A;Brand', version: '8' }, { brand: 'Chromium', version: '156' }, { brand: 'Microsoft Edge', version: '156' }], 'Microsoft Edge 156'],
  ['Mozilla/5.0 Chrome/156.0', [{ brand: 'Chromium', version: '156' }], 'Chromium 156'],
  ['Mozilla/5.0 (X11) Gecko/20100101 Firefox/154.0', undefined, 'Firefox 154'],
  ['Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/26.1 Safari/605.1.15', undefined, 'Safari 26.1'],
])('%s with brands %o is %s', (userAgent, brands, name) => {
  expect(browserName(userAgent, brands)).toBe(name);
});

const SEARCH: ModelSearch = { cache: memoryCache(), isRedirected: async () => false };
const asking = (address: string, search = SEARCH) => findModel(new URL(address), search);

test('the model is the one asked for, else the site’s own, else the hub’s', async () => {
  const fetch = vi.spyOn(globalThis, 'fetch');
  expect(await asking('https://a.test/x/bench/?model=hf:a/b/c.gguf')).toEqual({ url: 'hf:a/b/c.gguf', label: 'hf:a/b/c.gguf', linkedHost: 'huggingface.co' });
  expect(await asking('https://a.test/x/bench/?model=../m.gguf')).toEqual({ url: 'https://a.test/x/m.gguf', label: 'm.gguf' });
  expect(fetch).not.toHaveBeenCalled();
  fetch.mockResolvedValueOnce(Response.json({ default: { available: true, url: 'm.gguf', name: 'M' } }));
  expect(await asking('https://a.test/x/bench/')).toEqual({ url: 'https://a.test/x/models/m.gguf', label: 'M' });
  fetch.mockResolvedValueOnce(new Response('<!doctype html>', { status: 404 }));
  const fromHub = await asking('https://a.test/x/bench/');
  expect(fromHub?.url).toMatch(/^hf:\S+\.gguf@[0-9a-f]{40}$/);
  expect(fromHub).not.toHaveProperty('linkedHost');
  fetch.mockRestore();
});

test('of a model that only a link names, the host is told; what is stored needs no telling, what is none is no model', async () => {
  const url = 'https://evil.test/m.gguf';
  const link = `https://a.test/bench/?model=${encodeURIComponent(`${url}?${SIGNED}`)}`;
  expect(await asking(link)).toEqual({ url: `${url}?${SIGNED}`, label: url, linkedHost: 'evil.test' });
  const stored = memoryCache([{ url, name: url, size: 9, bytesCached: 9, lastUsed: 0 }]);
  expect(await asking(link, { ...SEARCH, cache: stored })).toEqual({ url: `${url}?${SIGNED}`, label: url });
  expect(await asking('https://a.test/bench/?model=//evil.test/m.gguf')).toMatchObject({ linkedHost: 'evil.test' });
  expect(await asking('https://a.test/bench/?model=m.gguf', { ...SEARCH, isRedirected: async () => true })).toMatchObject({ linkedHost: 'where a.test leads' });
  for (const none of ['https://', 'data:,m.gguf', 'blob:https://a.test/m.gguf', '%25', '', 'https://u:p@a.test/m.gguf']) {
    expect(await asking(`https://a.test/bench/?model=${none}`)).toBeUndefined();
  }
});

test('the page’s address is shown and given in results without secrets', () => {
  const shown = (address: string) => shownPage(new URL(address)).href;
  const address = 'https://a.test/bench/?x=1&model=';
  expect(shown(`${address}${encodeURIComponent(`https://b.test/m.gguf?${SIGNED}`)}`)).toBe(`${address}https%3A%2F%2Fb.test%2Fm.gguf`);
  for (const same of [`${address}hf%3Aa%2Fb%2Fc.gguf`, 'https://a.test/bench/?x=1']) expect(shown(same)).toBe(same);
});
