import { beforeEach, describe, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { GpuNeed } from '../../../src/runner/gpu-budget.ts';
import type { ModelManager } from '../../../src/worker/model-manager.ts';
import { FakeChannels } from '../../support/fake-channels.ts';
import { FakeLocks } from '../../support/fake-locks.ts';
import { bytes, END, type FakeLoad, FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';
import { until } from '../../support/until.ts';

const MIB = 2 ** 20;
const needs = (minMib: number, wantedMib = minMib, budgetMib = 100): GpuNeed => {
  return { minBytes: minMib * MIB, enoughBytes: wantedMib * MIB, wantedBytes: wantedMib * MIB, budgetBytes: budgetMib * MIB };
};

let loader: FakeLoader;
let locks: FakeLocks;
let channels: FakeChannels;
let manager: ModelManager;
let now: number;
const settle = () => new Promise<void>((resolve) => setTimeout(resolve));

const open = (sessionId: string, its = manager): Tab => new Tab(sessionId, its);

/** An engine of the origin. */
function openEngine({ loadModel }: FakeLoader): ModelManager {
  return openManager({ loadModel, locks: locks.locks, gpuChannel: channels.open(), clock: () => now, sleep: settle });
}

/** Resolves when an engine has heard that another one waits for the GPU. */
async function heard(): Promise<void> {
  await until(() => channels.posted.length > 0);
  await settle();
}

/** A tab that has its model loaded. */
async function loaded(name: string, source: string): Promise<{ readonly tab: Tab; readonly load: FakeLoad }> {
  const tab = open(name);
  const loading = tab.load(source);
  await settle();
  const load = loader.last;
  load.finish();
  await loading;
  return { tab, load };
}

beforeEach(() => {
  loader = new FakeLoader();
  locks = new FakeLocks();
  channels = new FakeChannels();
  now = 0;
  loader.needs.set('a', needs(40)).set('b', needs(40)).set('c', needs(40));
  manager = openEngine(loader);
});

describe('two models that both fit', () => {
  test('are both resident, and each answers its own sessions', async () => {
    const a = await loaded('ta', 'a');
    const b = await loaded('tb', 'b');
    void a.tab.generate('r');
    void b.tab.generate('r'); // names are a session's own
    a.load.engine.step({ id: 'r', tokens: bytes('from a') });
    b.load.engine.step({ id: 'r', tokens: bytes('from b') });
    await settle();
    expect([a.tab.text, b.tab.text]).toEqual(['from a', 'from b']);
    expect(a.tab.metrics).toMatchObject({ model: 'a', requestsRunning: 1, sessions: 2 });
    expect(b.tab.metrics).toMatchObject({
      model: 'b',
      models: [
        { id: 'a', state: 'ready', gpuBytes: 40 * MIB, sessions: 1 },
        { id: 'b', state: 'ready', gpuBytes: 40 * MIB, sessions: 1 },
      ],
    });
    expect(a.tab.snapshot).toMatchObject({ sessions: [{ session: 1, isOwn: true }], requests: [{ isOwn: true }] });
    expect((await b.tab.requireModel().profiler.profile({})).phase).toBe('decode');
  });

  test('load at the same time, each on its own', async () => {
    const [first, second] = [open('ta'), open('tb')];
    const loads = [first.load('a'), second.load('b')];
    await settle();
    expect(loader.loads).toHaveLength(2);
    loader.loads[1]?.finish();
    expect((await loads[1])?.id).toBe('b');
    expect([first.state, second.state]).toEqual(['loading', 'ready']);
    loader.loads[0]?.finish();
    await loads[0];
  });

  test('a lost device of one leaves the other\'s streams alone', async () => {
    const a = await loaded('ta', 'a');
    const b = await loaded('tb', 'b');
    void a.tab.generate('ra');
    void b.tab.generate('rb');
    a.load.engine.step({ id: 'ra', tokens: bytes('He') });
    await settle();
    a.tab.requireModel().loseDevice();
    await settle();
    expect([a.tab.state, b.tab.state]).toEqual(['recovering', 'ready']);
    expect(b.load.destroyed()).toBe(false);
    b.load.engine.step({ id: 'rb', tokens: bytes('still here') });
    await settle();
    expect(b.tab.text).toBe('still here');
    loader.last.finish();
    await settle();
    loader.last.engine.step({ id: 'ra', tokens: [...bytes('llo'), END], finish: 'stop' });
    await settle();
    expect(a.tab.text).toBe('Hello');
    const told = (tab: Tab) => tab.frames.filter(({ type }) => type === 'status' || type === 'log').length;
    expect([told(a.tab), told(b.tab)]).toEqual([3, 0]);
    expect([...a.tab.errors, ...b.tab.errors]).toEqual([]);
  });

  test('a bug in one ends its requests, and no one else\'s', async () => {
    const a = await loaded('ta', 'a');
    const b = await loaded('tb', 'b');
    void a.tab.generate('ra');
    void b.tab.generate('rb');
    a.load.engine.fail(new TypeError('x is undefined'));
    await settle();
    expect([a.tab.errors, b.tab.errors]).toEqual([['internal'], []]);
    expect([a.tab.state, b.tab.state]).toEqual(['failed', 'ready']);
    expect(manager.metrics().models.map(({ id }) => id)).toEqual(['b']);
  });
});

describe('where there is no room', () => {
  test('the model that was idle for longest makes room, and its next request has it back', async () => {
    loader.needs.set('c', needs(50));
    now = 1;
    const a = await loaded('ta', 'a');
    now = 2;
    const b = await loaded('tb', 'b');
    now = 3;
    void a.tab.generate('r');
    a.load.engine.step({ id: 'r', tokens: [END], finish: 'stop' });
    await settle();
    const c = await loaded('tc', 'c');
    expect([a.load.destroyed(), b.load.destroyed()]).toEqual([false, true]);
    expect([a.tab.state, b.tab.state, c.tab.state]).toEqual(['ready', 'parked', 'ready']);
    expect(manager.metrics().models).toContainEqual({ id: 'b', state: 'parked', gpuBytes: 0, sessions: 1 });
    void b.tab.generate('again');
    await settle();
    expect(b.tab.state).toBe('recovering');
    expect(a.tab.state).toBe('parked'); // used before c was
    loader.last.finish();
    await settle();
    expect([...loader.last.engine.live.keys()]).toEqual(['again']);
  });

  test('models at work are left alone, and named with what they hold', async () => {
    const a = await loaded('ta', 'a');
    const b = await loaded('tb', 'b');
    void a.tab.generate('ra');
    void b.tab.generate('rb');
    loader.needs.set('c', needs(30));
    const third = open('tc');
    await expect(third.load('c')).rejects.toMatchObject({
      code: 'model_busy',
      message: expect.stringMatching(/needs 30 MiB, and 20 MiB of 100 MiB.*"a" \(40 MiB, 1 tab, 1 request\) and "b"/s),
      details: {
        loadedModel: 'a', neededBytes: 30 * MIB, freeBytes: 20 * MIB, budgetBytes: 100 * MIB,
        models: [
          { id: 'a', gpuBytes: 40 * MIB, sessions: 1, requests: 1 },
          { id: 'b', gpuBytes: 40 * MIB, sessions: 1, requests: 1 },
        ],
      },
    });
    expect(third.state).toBe('failed');
    expect([a.load.destroyed(), b.load.destroyed(), ...a.tab.errors, ...b.tab.errors]).toEqual([false, false]);
    a.tab.abort('ra');
    const again = third.load('c');
    await settle();
    loader.last.finish();
    expect((await again).id).toBe('c');
  });

  test('a KV cache has to do with what those at work leave', async () => {
    const a = await loaded('ta', 'a');
    void a.tab.generate('ra');
    loader.needs.set('b', needs(50, 90));
    const b = await loaded('tb', 'b');
    expect(b.tab.metrics.models[1]?.gpuBytes).toBe(60 * MIB);
    expect(a.load.destroyed()).toBe(false);
  });

  test('a model that loads is not unloaded for another', async () => {
    const first = open('ta');
    const loading = first.load('a');
    await settle();
    loader.needs.set('b', needs(70));
    await expect(open('tb').load('b')).rejects.toMatchObject({ code: 'model_busy', details: { freeBytes: 60 * MIB } });
    loader.last.finish();
    await loading;
    expect(first.state).toBe('ready');
  });

  test('what the GPU itself refuses is tried again without the idle ones', async () => {
    const a = await loaded('ta', 'a');
    const second = open('tb');
    const loading = second.load('b');
    await settle();
    loader.last.fail(new TabserveError('out_of_memory', 'no'));
    await settle();
    expect(a.load.destroyed()).toBe(true);
    loader.last.finish();
    expect((await loading).id).toBe('b');
    const third = open('tc').load('a'); // there is no other left to unload but b
    await settle();
    loader.last.fail(new TabserveError('out_of_memory', 'no', { details: { budgetBytes: 1 } }));
    await expect(third).rejects.toMatchObject({ code: 'out_of_memory' });
    expect(second.state).toBe('ready');
  });
});

describe('switching', () => {
  test('a tab that loads another model ends its own requests, and leaves the others\'', async () => {
    const { tab, load } = await loaded('ta', 'a');
    const other = open('other');
    await other.load('a');
    void tab.generate('mine');
    void other.generate('theirs');
    const switching = tab.load('b');
    expect(tab.errors).toEqual(['aborted']);
    await settle();
    load.engine.step({ id: 'mine', tokens: bytes('late') }, { id: 'theirs', tokens: bytes('on') });
    loader.last.finish();
    await switching;
    expect([tab.text, other.text, load.destroyed()]).toEqual(['', 'on', false]);
    expect([...load.engine.live.keys()]).toEqual(['theirs']);
    void tab.generate('next');
    expect([...loader.last.engine.live.keys()]).toEqual(['next']);
  });

  test('a model that no session has goes when another is loaded; one that loads is given up first', async () => {
    const a = await loaded('ta', 'a');
    a.tab.leave();
    expect(a.load.destroyed()).toBe(false);
    const second = open('tb');
    const given = second.load('b').catch((error: TabserveError) => error.code);
    await settle();
    expect(a.load.destroyed()).toBe(true);
    const late = loader.last;
    const third = second.load('c');
    expect(late.context.signal.aborted).toBe(true);
    await settle();
    expect(loader.last).toBe(late); // not before it has let go
    late.finish();
    await settle();
    expect([late.destroyed(), await given]).toEqual([true, 'aborted']);
    loader.last.finish();
    expect((await third).id).toBe('c');
  });
});

test('a file that its header refuses costs no model its place, nor its load: who goes back finds it there', async () => {
  const a = await loaded('ta', 'a');
  loader.headers.set('bad', Promise.reject(new TabserveError('unsupported_model', 'not a model')));
  await expect(a.tab.load('bad')).rejects.toMatchObject({ code: 'unsupported_model' });
  await settle();
  expect(a.load.destroyed()).toBe(false);
  const numLoads = loader.loads.length;
  expect((await a.tab.load('a')).id).toBe('a');
  expect(loader.loads).toHaveLength(numLoads);
});

describe('a load that is given up while its header is read', () => {
  /** Lets the headers of `a` be read from now on. */
  let readHeader: () => void;
  beforeEach(() => void loader.headers.set('a', new Promise((resolve) => (readHeader = resolve))));

  test('waits for nobody, itself included: the next load of the same model begins', async () => {
    const closed = open('closed');
    const given = closed.load('a').catch((error: TabserveError) => error.code);
    await settle();
    closed.leave();
    const next = open('next').load('a');
    readHeader();
    await until(() => loader.loads.length === 1);
    loader.last.finish();
    expect([(await next).id, await given]).toEqual(['a', 'aborted']);
  });

  test('another one that is given up beside it does not wait for it, nor it for the other', async () => {
    loader.headers.set('b', loader.headers.get('a') as Promise<void>);
    const tabs = [open('ta'), open('tb')] as const;
    const given = [tabs[0].load('a'), tabs[1].load('b')].map((load) => load.catch((error: TabserveError) => error.code));
    await settle();
    for (const tab of tabs) tab.leave();
    readHeader();
    expect(await Promise.all(given)).toEqual(['aborted', 'aborted']);
    await until(() => !locks.isHeld('tabserve:gpu'));
  });

  test('another engine gets the GPU when it has let go of its device, and not before', async () => {
    const { tab } = await loaded('tb', 'b');
    const other = new FakeLoader();
    const second = openEngine(other);
    const closed = open('closed');
    void closed.load('a').catch(() => {});
    await settle();
    closed.leave();
    const loading = open('t2', second).load('m');
    await until(() => tab.state === 'parked'); // idle, it gives way
    await settle();
    expect([locks.isHeld('tabserve:gpu'), other.loads.length]).toEqual([true, 0]);
    readHeader();
    await until(() => other.loads.length === 1);
    other.last.finish();
    expect((await loading).id).toBe('m');
  });
});

describe('another engine of the origin', () => {
  test('waits until neither model runs, then both are parked, and come back with their requests', async () => {
    const a = await loaded('ta', 'a');
    const b = await loaded('tb', 'b');
    void a.tab.generate('ra');
    const other = new FakeLoader();
    const second = openEngine(other);
    const tab = open('t2', second);
    const loading = tab.load('m');
    await heard();
    void b.tab.generate('rb');
    expect([b.load.engine.live.size, other.loads.length]).toEqual([0, 0]);
    a.load.engine.step({ id: 'ra', tokens: [END], finish: 'stop' });
    await until(() => other.loads.length === 1);
    expect([a.tab.state, b.tab.state]).toEqual(['parked', 'recovering']);
    expect([a.load.destroyed(), b.load.destroyed()]).toEqual([true, true]);
    other.last.finish();
    await loading;
    await until(() => loader.loads.length === 3);
    loader.last.finish();
    await settle();
    expect([...loader.last.engine.live.keys()]).toEqual(['rb']);
    expect([a.tab.state, tab.state]).toEqual(['parked', 'parked']);
  });

  test('waits for a load as well, and until that is done requests are answered', async () => {
    const a = await loaded('ta', 'a');
    const b = open('tb');
    const loadingB = b.load('b');
    await settle();
    const slow = loader.last;
    const other = new FakeLoader();
    const second = openEngine(other);
    void open('t2', second).load('m');
    await heard();
    void a.tab.generate('ra');
    expect([...a.load.engine.live.keys()]).toEqual(['ra']);
    a.load.engine.step({ id: 'ra', tokens: [END], finish: 'stop' });
    slow.finish();
    await loadingB;
    await until(() => other.loads.length === 1);
    expect([a.tab.state, b.state]).toEqual(['parked', 'parked']);
  });

  test('a lease that two models wait for is asked for once, and given up with the last', async () => {
    const holder = openEngine(loader);
    const holding = open('h', holder);
    const held = holding.load('m');
    await settle();
    loader.last.finish();
    await held;
    void holding.generate('r'); // at work, it keeps the GPU
    const [first, second] = [open('ta'), open('tb')];
    const loads = [first.load('a'), second.load('b')].map((load) => load.catch((error: TabserveError) => error.code));
    await settle();
    expect((await locks.locks.query()).pending).toHaveLength(1);
    first.leave();
    expect(await loads[0]).toBe('aborted');
    expect((await locks.locks.query()).pending).toHaveLength(1);
    second.leave();
    expect(await loads[1]).toBe('aborted');
    expect((await locks.locks.query()).pending).toHaveLength(0);
  });
});
