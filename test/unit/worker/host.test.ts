import { beforeEach, describe, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { LoadProgress } from '../../../src/core/progress.ts';
import type { ModelManager } from '../../../src/worker/model-manager.ts';
import { bytes, END, FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';

let loader: FakeLoader;
let manager: ModelManager;
let now: number;
const open = (sessionId: string): Tab => new Tab(sessionId, manager);
const settle = () => new Promise((resolve) => setTimeout(resolve));
const progressAt = (bytesDone: number): LoadProgress => {
  return { stage: 'download', bytesDone, bytesTotal: 1000, bytesPerSecond: 1, secondsLeft: 1 };
};

beforeEach(() => {
  loader = new FakeLoader();
  now = 50;
  manager = openManager({ loadModel: loader.loadModel, clock: () => now });
});

async function ready(...names: string[]): Promise<Tab[]> {
  const tabs = names.map(open);
  const loads = tabs.map((tab) => tab.load('m'));
  await settle();
  loader.last.finish();
  await Promise.all(loads);
  return tabs;
}

describe('loading', () => {
  test('a second tab joins the load, is told where it stands, and hears the rest', async () => {
    const first = open('a');
    const one = first.load('m');
    await settle();
    loader.last.context.onProgress(progressAt(100));
    const second = open('b');
    const two = second.load('m');
    loader.last.context.onProgress(progressAt(200));
    loader.last.finish();
    expect(await one).toEqual(await two);
    expect(loader.loads).toHaveLength(1);
    expect(first.progress.map(({ bytesDone }) => bytesDone)).toEqual([100, 200, 1000]);
    expect(second.progress.map(({ bytesDone }) => bytesDone)).toEqual([100, 200, 1000]);
    expect(second.progress.at(-1)?.stage).toBe('ready');
    expect(second.metrics).toMatchObject({ state: 'ready', model: 'm', sessions: 2 });
  });

  test('once the others have gone, a different model replaces it', async () => {
    const [first] = await ready('a');
    const before = loader.last;
    manager.detach(first as Tab);
    expect(before.destroyed()).toBe(false);
    const loading = open('b').load('other');
    await settle();
    expect(before.destroyed()).toBe(true);
    loader.last.finish();
    expect((await loading).id).toBe('other');
  });

  test('the same model with other settings is loaded anew, unless others use it', async () => {
    const [first] = (await ready('a')) as [Tab];
    await first.load({ source: 'm' });
    const joined = open('b');
    expect((await joined.load({ source: 'm', maxModelLen: 64 })).settings).toEqual({});
    first.leave();
    joined.leave();
    const before = loader.last;
    const later = open('c');
    const settings = { maxModelLen: 64, persistPrefixCache: { maxBytes: 1 } };
    const loading = later.load({ source: 'm', ...settings });
    await settle();
    expect(before.destroyed()).toBe(true);
    loader.last.finish();
    expect((await loading).settings).toEqual(settings);
    await later.load({ source: 'm', ...structuredClone(settings) }); // as it crosses to the worker
    await later.load({ source: 'm', ...settings, hub: { token: 'hf_other' } }); // no property of the model
    expect(loader.loads).toHaveLength(2);
  });

  test('a tab that changes its own model ends its own requests', async () => {
    const [tab] = (await ready('a')) as [Tab];
    void tab.generate('r');
    void tab.load('other').catch(() => {});
    expect(tab.frames).toMatchObject([{ type: 'error', request: 'r', error: { code: 'aborted' } }]);
  });

  test('a load that fails tells all who wait, and leaves the host able to load again', async () => {
    const tabs = [open('a'), open('b')];
    const loads = tabs.map((tab) => tab.load('m'));
    await settle();
    loader.last.fail(new TabserveError('download_failed', 'no network'));
    for (const load of loads) await expect(load).rejects.toMatchObject({ code: 'download_failed' });
    const [tab] = tabs as [Tab, Tab];
    expect(tab.state).toBe('failed');
    expect(() => tab.generate('r')).toThrow(expect.objectContaining({ code: 'download_failed' }));
    const again = tab.load('m');
    expect(tab.state).toBe('loading');
    await settle();
    loader.last.finish();
    await again;
    expect(tab.state).toBe('ready');
  });

  test('a load is given up when the last tab that waits for it goes, and not before', async () => {
    const [first, second] = [open('a'), open('b')];
    const loads = [first.load('m'), second.load('m')];
    await settle();
    const { signal } = loader.last.context;
    first.leave();
    expect(signal.aborted).toBe(false);
    second.leave();
    expect(signal.aborted).toBe(true);
    expect(manager.metrics().models).toEqual([]);
    loader.last.finish(); // too late: it must not stay in memory
    for (const load of loads) await expect(load).rejects.toMatchObject({ code: 'aborted' });
    expect(loader.last.destroyed()).toBe(true);
  });

  test('the next load waits until the one given up has let go', async () => {
    const first = open('a');
    void first.load('m').catch(() => {});
    await settle();
    first.leave();
    const next = open('b');
    const loading = next.load('other');
    await settle();
    expect([loader.begun, loader.loads.length]).toEqual([['m'], 1]);
    loader.last.fail(new Error('cancelled'));
    await settle();
    expect(loader.loads).toHaveLength(2);
    loader.last.finish();
    expect((await loading).id).toBe('other');
    expect(next.state).toBe('ready');
  });
});

describe('generating', () => {
  test('one step feeds two tabs, each its own', async () => {
    const [a, b] = (await ready('a', 'b')) as [Tab, Tab];
    void a.generate('ra');
    void b.generate('rb');
    loader.last.engine.step({ id: 'ra', tokens: bytes('one') }, { id: 'rb', tokens: bytes('two'), finish: 'length' });
    await settle();
    expect([a.text, b.text]).toEqual(['one', 'two']);
    expect(b.frames.at(-1)).toMatchObject({ type: 'finish', finishReason: 'length', completionTokens: 3 });
  });

  test('what the engine is given', async () => {
    const [tab] = (await ready('a')) as [Tab];
    now = 60;
    void tab.generate('r', { maxTokens: 9, temperature: 0.5, seed: 4 });
    void tab.generate('s');
    expect(loader.last.engine.live.get('r')).toEqual({
      requestId: 'r', sessionId: 'a', choice: 0, persistPrefix: false, promptTokenIds: bytes('Hi'), arrivalTime: 60,
      sampling: { temperature: 0.5, seed: 4, maxTokens: 9, stopTokenIds: [END] },
    });
    expect(loader.last.engine.live.get('s')?.sampling.maxTokens).toBe(1024);
    const logits = { topK: 3, presencePenalty: 1, logitBias: [[256, 1]] } as const;
    void tab.generate('t', { logits });
    expect(loader.last.engine.live.get('t')?.sampling).toMatchObject({ ...logits, temperature: 0, seed: 1 });
  });

  test('a bias for a token that the model does not have is refused', async () => {
    const [tab] = (await ready('a')) as [Tab];
    const refused = expect.objectContaining({ code: 'invalid_request', param: 'logit_bias' });
    expect(() => tab.generate('r', { logits: { logitBias: [[257, 1]] } })).toThrow(refused);
    expect(loader.last.engine.added).toBe(0);
  });

  test('what a request asks of the scheduler, its time limit as a deadline', async () => {
    const [tab] = (await ready('a')) as [Tab];
    now = 60;
    void tab.generate('r', { scheduling: { priority: 2, timeoutMs: 500, supersede: 'k', cacheSalt: 's' } });
    expect(loader.last.engine.live.get('r')).toMatchObject({
      priority: 2, deadline: 560, supersede: 'k', cacheSalt: 's',
    });
  });

  test('an abort of the engine\'s own reaches the tab as its error, after the tokens there were', async () => {
    const [tab] = (await ready('a')) as [Tab];
    void tab.generate('r');
    loader.last.engine.step({ id: 'r', tokens: bytes('He') });
    const error = { code: 'deadline_exceeded', message: 'late' } as const;
    loader.last.engine.step({ id: 'r', tokens: [], finish: 'abort', error });
    await settle();
    expect(tab.text).toBe('He');
    expect(tab.frames.at(-1)).toEqual({ type: 'error', request: 'r', error });
    void tab.generate('r'); // the id is free again
  });

  test('a stop string ends the request in the engine too', async () => {
    const [tab] = (await ready('a')) as [Tab];
    void tab.generate('r', { stop: ['.'] });
    loader.last.engine.step({ id: 'r', tokens: bytes('Yes. No'), scheduled: 58 });
    await settle();
    expect(tab.text).toBe('Yes');
    expect(tab.frames.at(-1)).toMatchObject({ finishReason: 'stop', queueMs: 8 });
    expect(loader.last.engine.live.size).toBe(0);
  });

  test('an abort ends it at once; a step already under way adds nothing', async () => {
    const [tab, other] = (await ready('a', 'b')) as [Tab, Tab];
    void tab.generate('r');
    other.abort('r');
    expect(loader.last.engine.live.has('r')).toBe(true);
    tab.abort('r');
    expect(loader.last.engine.live.has('r')).toBe(false);
    loader.last.engine.step({ id: 'r', tokens: bytes('late') });
    await settle();
    expect(tab.frames).toMatchObject([{ type: 'finish', finishReason: 'abort', completionTokens: 0 }]);
  });

  test('a tab that goes ends its requests and no one else\'s', async () => {
    const [a, b] = (await ready('a', 'b')) as [Tab, Tab];
    void a.generate('ra');
    void b.generate('rb');
    a.leave();
    expect([...loader.last.engine.live.keys()]).toEqual(['rb']);
    loader.last.engine.step({ id: 'ra', tokens: bytes('x') }, { id: 'rb', tokens: bytes('y') });
    await settle();
    expect([a.text, b.text]).toEqual(['', 'y']);
    expect(() => a.generate('again')).toThrow(expect.objectContaining({ code: 'closed' }));
  });

  test('a request that the engine refuses leaves nothing behind', async () => {
    const [tab] = (await ready('a')) as [Tab];
    const prompt = { text: 'x'.repeat(1001) };
    expect(() => tab.generate('r', { prompt })).toThrow(expect.objectContaining({ code: 'context_length_exceeded' }));
    void tab.generate('r');
    expect(() => tab.generate('r')).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});

describe('failing', () => {
  test('a bug ends every request with its code; the next load starts afresh', async () => {
    const tabs = (await ready('a', 'b')) as [Tab, Tab];
    tabs.forEach((tab) => tab.generate(`r${tab.sessionId}`));
    loader.last.engine.fail(new TypeError('x is undefined'));
    await settle();
    const error = { code: 'internal' };
    for (const tab of tabs) {
      expect(tab.frames).toMatchObject([
        { type: 'error', request: `r${tab.sessionId}`, error },
        { type: 'log', level: 'error' },
      ]);
      expect(() => tab.generate('again')).toThrow(expect.objectContaining(error));
    }
    expect(tabs[0].metrics).toMatchObject({ state: 'failed', model: undefined, requestsRunning: 0 });
    expect(loader.last.destroyed()).toBe(true);
    const again = tabs[0].load('m');
    await settle();
    loader.last.finish();
    await again;
    tabs[0].frames.length = 0;
    void tabs[0].generate('after');
    loader.last.engine.step({ id: 'after', tokens: bytes('fine') });
    await settle();
    expect(tabs[0].text).toBe('fine');
  });

  test('a device that is lost after its model was replaced harms nobody', async () => {
    const [tab] = (await ready('a')) as [Tab];
    const before = loader.last;
    const loading = tab.load('other');
    await settle();
    loader.last.finish();
    await loading;
    void tab.generate('r');
    before.lose(new TabserveError('device_lost', 'gone'));
    await settle();
    expect(tab.frames).toEqual([]);
    expect(tab.metrics).toMatchObject({ state: 'ready', model: 'other' });
  });

  test('log lines from before the first tab reach it', () => {
    manager.sessions.log('error', 'early');
    expect(open('a').frames).toEqual([{ type: 'log', level: 'error', message: 'early' }]);
    expect(open('b').frames).toEqual([]);
  });
});

test('each tab is shown what all run, and which of it is its own', async () => {
  const early = open('early');
  expect(early.snapshot).toMatchObject({ sessions: [{ session: 1, isOwn: true }], requests: [], pool: { numBlocks: 0 } });
  early.leave();
  const [a, b] = (await ready('a', 'b')) as [Tab, Tab];
  void a.generate('ra');
  void b.generate('rb');
  const own = (tab: Tab) => tab.snapshot.requests.map(({ id, session, isOwn }) => [id, session, isOwn]);
  expect(own(a)).toEqual([['r1', 1, true], ['r2', 2, false]]);
  expect(own(b)).toEqual([['r1', 1, false], ['r2', 2, true]]);
  expect(a.snapshot.pool).toMatchObject({ numBlocks: 64, shared: [{ block: 0, refCount: 2 }], cachedFree: [63] });
});

test('metrics are the engine\'s, the adapter\'s and the host\'s', async () => {
  expect(manager.metrics()).toMatchObject({ state: 'idle', model: undefined, sessions: 0, kvBlocksTotal: 0 });
  const [tab] = (await ready('a')) as [Tab];
  void tab.generate('r');
  expect(tab.metrics).toEqual({
    state: 'ready', model: 'm', sessions: 1, models: [{ id: 'm', state: 'ready', gpuBytes: 0, sessions: 1 }], adapter: expect.objectContaining({ vendor: 'fake', isSoftware: true }),
    requestsRunning: 1, requestsWaiting: 0, kvBlocksUsed: 2, kvBlocksTotal: 64, kvBlockSize: 16, preemptions: 0,
    promptTokens: 7, generationTokens: 9, prefixCacheQueries: 8, prefixCacheHits: 4, prefillTokensPerSecond: 30, decodeTokensPerSecond: 10,
    counters: { steps: 1, dispatches: 2, submits: 3, bindGroupsCreated: 0, bytesReadBack: 4 },
    invariance: { state: 'verified' },
    tuning: { state: 'done', wallMs: 9, gpuMs: 7, pipelinesCompiled: 3, numKernels: 1, kernels: [], rejected: [] },
    kernelsToCompile: 5,
  });
});

describe('profiles', () => {
  test('are those of the model that answers; without one it is said why there is none', async () => {
    const early = open('early');
    expect(() => early.requireModel()).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    expect(() => early.requireModel()).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    const [tab] = (await ready('a')) as [Tab];
    expect(await tab.requireModel().profiler.profile({})).toMatchObject({ phase: 'decode' });
    expect(await tab.requireModel().profiler.limits()).toMatchObject({ readGBps: 100 });
    loader.last.lose(new TabserveError('device_lost', 'gone'));
    await settle();
    expect(() => tab.requireModel()).toThrow(expect.objectContaining({ code: 'device_lost' }));
    expect(() => tab.requireModel()).toThrow(expect.objectContaining({ code: 'device_lost' }));
  });
});
