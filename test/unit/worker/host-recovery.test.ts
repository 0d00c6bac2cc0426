import { beforeEach, describe, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { GenerateRequest, Queued } from '../../../src/core/protocol.ts';
import type { ModelManager } from '../../../src/worker/model-manager.ts';
import { FakeLocks } from '../../support/fake-locks.ts';
import { FakeChannels } from '../../support/fake-channels.ts';
import { bytes, END, FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';
import { until } from '../../support/until.ts';

const LOST = new TabserveError('device_lost', 'the GPU went away');
const NONE = new TabserveError('webgpu_unavailable', 'no adapter');

let loader: FakeLoader;
let manager: ModelManager;
let tab: Tab;
let locks: FakeLocks;
let channels: FakeChannels;
let now: number;
/** The pauses between attempts to reload; each ends when its test says so. */
let pauses: { readonly ms: number; readonly end: () => void }[];
const settle = () => new Promise<void>((resolve) => setTimeout(resolve));

beforeEach(async () => {
  loader = new FakeLoader();
  locks = new FakeLocks();
  channels = new FakeChannels();
  now = 0;
  pauses = [];
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    if (signal === undefined) return settle(); // between checks of loads
    return new Promise((resolve, reject) => {
      pauses.push({ ms, end: resolve });
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  };
  manager = openManager({ loadModel: loader.loadModel, locks: locks.locks, gpuChannel: channels.open(), clock: () => now, sleep });
  tab = new Tab('a', manager);
  const loading = tab.load({ source: 'm', maxModelLen: 99 });
  await settle();
  loader.last.finish();
  await loading;
});

/** A short prompt is queued at once. */
function generate(requestId: string, more: Partial<GenerateRequest> = {}): Queued {
  const queued = tab.generate(requestId, more);
  if (queued instanceof Promise) throw new Error('It was not queued at once.');
  return queued;
}

test('while the GPU is gone, requests are shown waiting with the tokens they have, under the numbers they had', async () => {
  void generate('other');
  void generate('r');
  loader.last.engine.step({ id: 'r', tokens: bytes('Hel') });
  await settle();
  const before = tab.snapshot.requests.map(({ id }) => id);
  await lose();
  const { requests, pool } = tab.snapshot;
  expect(pool.numBlocks).toBe(0);
  expect(requests).toEqual([
    { id: before[0], session: 1, isOwn: true, state: 'waiting', numTokens: 2, numComputedTokens: 0, blockTable: [] },
    { id: before[1], session: 1, isOwn: true, state: 'waiting', numTokens: 5, numComputedTokens: 0, blockTable: [] },
  ]);
});

async function lose(error = LOST): Promise<void> {
  loader.last.lose(error);
  await settle();
}

test('what lives goes on where it was, on a new engine, and nobody is told but by a status', async () => {
  void generate('r', { scheduling: { priority: 3 } });
  void generate('s');
  loader.last.engine.step({ id: 'r', tokens: bytes('He') });
  await settle();
  const lost = loader.last;
  lost.engine.step({ id: 'r', tokens: bytes('l') }); // computed, never delivered
  await lose();
  expect(lost.destroyed()).toBe(true);
  expect(loader.loads).toHaveLength(2);
  expect(loader.last.options).toEqual({ source: 'm', maxModelLen: 99 });
  expect(tab.metrics).toMatchObject({ state: 'recovering', requestsWaiting: 2 });
  void generate('t'); // one that comes meanwhile waits likewise
  loader.last.finish();
  await settle();
  const { engine } = loader.last;
  expect([...engine.live.keys()]).toEqual(['r', 's', 't']);
  expect(engine.live.get('r')).toMatchObject({ promptTokenIds: bytes('Hi'), outputTokenIds: bytes('He'), priority: 3 });
  expect(engine.live.get('s')?.outputTokenIds).toEqual([]);
  expect(engine.live.get('t')?.outputTokenIds).toEqual([]); // it has waited here, as in a queue
  engine.step({ id: 'r', tokens: [...bytes('llo'), END], finish: 'stop' });
  await settle();
  expect(tab.text).toBe('Hello');
  const indices = tab.frames.flatMap((frame) => (frame.type === 'token' ? [frame.index] : []));
  expect(indices).toEqual([0, 1, 2, 3, 4, 5]);
  expect(tab.frames.at(-1)).toMatchObject({ type: 'finish', completionTokens: 6 });
  expect(tab.errors).toEqual([]);
  expect(tab.statuses).toEqual([
    { state: 'recovering', cause: { code: 'device_lost', message: LOST.message }, attempt: 1, retryInMs: undefined },
    { state: 'ready' },
  ]);
});

test('memory that ran out is a loss like any other', async () => {
  void generate('r');
  loader.last.engine.fail(new TabserveError('out_of_memory', 'full'));
  await settle();
  loader.last.finish();
  await settle();
  expect([...loader.last.engine.live.keys()]).toEqual(['r']);
  expect(tab.errors).toEqual([]);
});

test('while there is no engine, no more requests are taken than may wait, and the next engine refuses none of them', async () => {
  await lose();
  const refusals: unknown[] = [];
  for (let i = 0; i < 300; i++) {
    try {
      void generate(`r${i}`);
    } catch (error) {
      refusals.push(error);
    }
  }
  const full = expect.objectContaining({ code: 'queue_full', details: { retryAfterMs: 1000 } });
  expect(refusals).toEqual(Array.from({ length: 172 }, () => full));
  loader.last.finish();
  await settle();
  const { live } = loader.last.engine;
  expect(live.size).toBe(128);
  // As those that have been in a queue before, which no limit of the scheduler's holds for.
  for (const { outputTokenIds } of live.values()) expect(outputTokenIds).toEqual([]);
  expect(tab.errors).toEqual([]);
});

describe('while there is no adapter', () => {
  beforeEach(async () => {
    void generate('r', { scheduling: { timeoutMs: 5000 } });
    await lose();
    loader.last.fail(NONE);
    await settle();
  });

  test('it is tried again after pauses that double up to five seconds, and said', async () => {
    for (let i = 0; i < 6; i++) {
      pauses.at(-1)?.end();
      await settle();
      loader.last.fail(NONE);
      await settle();
    }
    expect(pauses.map(({ ms }) => ms)).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000]);
    expect(tab.statuses.at(-1)).toMatchObject({ attempt: 7, retryInMs: 5000, cause: { code: 'webgpu_unavailable' } });
    pauses.at(-1)?.end();
    await settle();
    loader.last.finish();
    await settle();
    expect(loader.last.engine.live.size).toBe(1);
    expect(tab.statuses.at(-1)).toEqual({ state: 'ready' });
  });

  test('deadlines end requests all the same', async () => {
    now = 5001;
    await until(() => tab.errors.length > 0);
    expect(tab.errors).toEqual(['deadline_exceeded']);
  });

  test('an abort ends a request, and a tab that goes gives the model up', async () => {
    tab.abort('r');
    expect(tab.frames.findLast(({ type }) => type !== 'status')).toMatchObject({ type: 'finish', finishReason: 'abort' });
    expect(tab.state).toBe('parked'); // nothing is tried for nobody
    expect(tab.statuses.at(-1)).toEqual({ state: 'ready' });
    tab.leave();
    await settle();
    expect(tab.state).toBe('idle');
    expect(locks.isHeld('tabserve:gpu')).toBe(false);
  });

  test('what will not pass ends the requests', async () => {
    pauses.at(-1)?.end();
    await settle();
    loader.last.fail(new TabserveError('corrupt_model', 'the cache is broken'));
    await settle();
    expect(tab.errors).toEqual(['corrupt_model']);
    expect(tab.state).toBe('failed');
  });
});

test('three losses without a token in between are enough for requests; one with a token counts anew', async () => {
  void generate('r');
  const back = async (): Promise<void> => {
    loader.last.finish();
    await settle();
  };
  for (let i = 0; i < 2; i++) {
    await lose();
    await back();
  }
  loader.last.engine.step({ id: 'r', tokens: bytes('x') });
  await settle();
  for (let i = 0; i < 3; i++) {
    await lose();
    await back();
  }
  expect(tab.errors).toEqual([]);
  await lose();
  expect(tab.errors).toEqual(['device_lost']);
  expect(tab.state).toBe('parked');
  void generate('next');
  await settle();
  await back();
  expect([...loader.last.engine.live.keys()]).toEqual(['next']);
});

test('losses of an idle model end nothing: after three in a row it comes back with the next request', async () => {
  for (let i = 0; i < 3; i++) {
    await lose();
    expect(tab.state).toBe('recovering');
    loader.last.finish();
    await settle();
  }
  await lose();
  expect(tab.state).toBe('parked');
  expect(loader.loads).toHaveLength(4);
  void generate('r');
  await settle();
  loader.last.finish();
  await settle();
  await lose(); // the first one that it had work in
  loader.last.finish();
  await settle();
  expect([...loader.last.engine.live.keys()]).toEqual(['r']);
  expect(tab.errors).toEqual([]);
});

test('a request that the new engine has no room for ends alone', async () => {
  void generate('long', { prompt: { text: 'x'.repeat(1000) } });
  void generate('short');
  await lose();
  loader.last.engine.maxPromptTokens = 100;
  loader.last.finish();
  await settle();
  expect(tab.frames.filter(({ type }) => type === 'error')).toMatchObject([{ request: 'long' }]);
  expect([...loader.last.engine.live.keys()]).toEqual(['short']);
});

test('a request of a worker that has died goes on behind its last token, held-back text included', async () => {
  const resume = { promptTokenIds: [7, 8], tokenIds: bytes('Hello wor') };
  expect(generate('r', { resume, stop: ['world!'] })).toEqual({ promptTokenIds: [7, 8] });
  const { engine } = loader.last;
  expect(engine.live.get('r')).toMatchObject({ promptTokenIds: [7, 8], outputTokenIds: bytes('Hello wor') });
  engine.step({ id: 'r', tokens: bytes('ld?') });
  await settle();
  // "wor" was held back by the worker before, and is not known to the tab.
  expect(tab.text).toBe('world?');
  expect(tab.frames.find(({ type }) => type === 'token')).toMatchObject({ index: 9 });
});

describe('two engines of an origin', () => {
  /** The other one. */
  let other: FakeLoader;
  let second: Tab;
  beforeEach(() => {
    other = new FakeLoader();
    const gpuChannel = channels.open();
    second = new Tab('b', openManager({ loadModel: other.loadModel, locks: locks.locks, gpuChannel, clock: () => now, sleep: settle }));
  });

  /** Resolves when the first one has heard that the other one waits. */
  async function heard(): Promise<void> {
    await until(() => channels.posted.length > 0);
    await settle();
  }

  test('take turns: each finishes what runs, and keeps what comes for its next turn', async () => {
    void generate('r');
    const loading = second.load('m');
    await until(() => second.progress.length > 0);
    expect(second.progress.map(({ stage }) => stage)).toEqual(['wait']);
    await heard();
    void generate('later');
    const { engine } = loader.last;
    expect([...engine.live.keys()]).toEqual(['r']);
    expect(other.loads).toHaveLength(0);
    engine.step({ id: 'r', tokens: [END], finish: 'stop' });
    await until(() => other.loads.length === 1);
    expect(loader.loads[0]?.destroyed()).toBe(true);
    expect(tab.metrics).toMatchObject({ state: 'recovering', requestsWaiting: 1 });
    other.last.finish();
    await loading;
    await until(() => loader.loads.length === 2); // idle, it gives way at once
    expect(second.state).toBe('parked');
    loader.last.finish();
    await settle();
    expect([...loader.last.engine.live.keys()]).toEqual(['later']);
    expect(tab.errors).toEqual([]);
  });

  test('what was kept for the next turn runs at once where the other engine gives up waiting', async () => {
    void generate('r');
    const refused = expect(second.load('m')).rejects.toMatchObject({ code: 'aborted' });
    await heard();
    void generate('later');
    expect([...loader.last.engine.live.keys()]).toEqual(['r']);
    second.leave();
    await refused;
    await until(() => loader.last.engine.live.size === 2);
    expect(loader.last.engine.live.get('later')?.outputTokenIds).toEqual([]);
    expect(loader.last.engine.added).toBe(2);
  });

  test('an idle one gives the GPU up, and takes it back when it is asked', async () => {
    const loading = second.load('m');
    await until(() => other.loads.length === 1);
    expect(tab.state).toBe('parked');
    other.last.finish();
    await loading;
    void generate('again');
    await until(() => loader.loads.length === 2);
    expect(second.state).toBe('parked');
  });
});
