import { beforeEach, describe, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { ModelManager } from '../../../src/worker/model-manager.ts';
import { bytes, END, type FakeLoad, FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';
import { until } from '../../support/until.ts';

// Requests for models that are not on the GPU, while there is no room or no GPU for them.

const BUDGET = { budgetBytes: 100 } as const;
const needs = (minBytes: number) => ({ minBytes, enoughBytes: minBytes, wantedBytes: minBytes, ...BUDGET });

let loader: FakeLoader;
let manager: ModelManager;
let now: number;
const settle = () => new Promise<void>((resolve) => setTimeout(resolve));


/** A tab that has its model loaded. */
async function loaded(name: string, source: string): Promise<{ readonly tab: Tab; readonly load: FakeLoad }> {
  const tab = new Tab(name, manager);
  const loading = tab.load(source);
  await settle();
  const load = loader.last;
  load.finish();
  await loading;
  return { tab, load };
}

beforeEach(() => {
  loader = new FakeLoader();
  now = 0;
  loader.needs.set('a', needs(40)).set('b', needs(80));
  manager = openManager({ loadModel: loader.loadModel, clock: () => now, sleep: settle });
});

test('a parked model whose request finds no room waits for it, says so, and comes next', async () => {
  const a = await loaded('ta', 'a');
  const b = await loaded('tb', 'b');
  void b.tab.generate('rb');
  void a.tab.generate('ra');
  await settle();
  expect([a.tab.errors, a.tab.state]).toEqual([[], 'recovering']);
  expect(a.tab.statuses.at(-1)).toMatchObject({ state: 'recovering', cause: { code: 'model_busy' }, retryInMs: undefined });
  b.load.engine.step({ id: 'rb', tokens: bytes('not yet') });
  void b.tab.generate('later'); // is kept, or "a" might wait for ever
  await settle();
  expect([loader.loads.length, b.load.engine.added]).toEqual([2, 1]);
  b.load.engine.step({ id: 'rb', tokens: [END], finish: 'stop' });
  await settle();
  expect([a.tab.state, b.tab.state, b.load.destroyed()]).toEqual(['recovering', 'recovering', true]);
  const second = loader.last;
  second.finish();
  await settle();
  expect([...second.engine.live.keys()]).toEqual(['ra']);
  expect(a.tab.statuses.at(-1)).toEqual({ state: 'ready' });
  second.engine.step({ id: 'ra', tokens: [END], finish: 'stop' });
  await settle();
  loader.last.finish();
  await settle();
  expect([...loader.last.engine.live.keys()]).toEqual(['later']);
  expect([...a.tab.errors, ...b.tab.errors]).toEqual([]);
});

test('a request that waits for room is given up with its deadline, or by its tab: nobody is held up for it any more', async () => {
  const a = await loaded('ta', 'a');
  const b = await loaded('tb', 'b');
  void b.tab.generate('rb');
  for (const end of ['abort', 'deadline']) {
    void a.tab.generate('ra', { scheduling: { timeoutMs: 5000 } });
    await settle();
    void b.tab.generate(end);
    expect(b.load.engine.live.has(end)).toBe(false);
    if (end === 'abort') a.tab.abort('ra');
    else now += 5001;
    await until(() => b.load.engine.live.has(end));
    expect(a.tab.state).toBe('parked');
  }
  expect(a.tab.errors).toEqual(['deadline_exceeded']);
  expect(b.load.destroyed()).toBe(false);
});


/** "a" is parked, and "b" idle on the GPU. */
async function parked() {
  const a = await loaded('ta', 'a');
  const b = await loaded('tb', 'b');
  expect(a.tab.state).toBe('parked');
  return { a: a.tab, b };
}

test.each(['device_lost', 'out_of_memory', 'webgpu_unavailable', 'download_failed'] as const)(
  'a parked model that does not come back at once, with %s, is tried again for as long as requests wait',
  async (code) => {
    const { a } = await parked();
    void a.generate('ra');
    for (let tries = 3; tries < 6; tries++) {
      await until(() => loader.loads.length === tries);
      const failure = new TabserveError(code, 'for now');
      loader.last.fail(failure);
      await settle();
      expect(a.statuses.some((status) => status.state === 'recovering' && status.cause.code === code)).toBe(true);
    }
    await until(() => loader.loads.length === 6);
    loader.last.finish();
    await settle();
    expect([[...loader.last.engine.live.keys()], a.errors, a.state]).toEqual([['ra'], [], 'ready']);
    expect(a.statuses.at(-1)).toEqual({ state: 'ready' });
  },
);

test('memory that the GPU refuses again and again, although nothing else is on it, ends what waits, and not the model', async () => {
  const { a, b } = await parked();
  void a.generate('ra');
  for (let tries = 3; tries < 8; tries++) {
    await until(() => loader.loads.length === tries);
    expect(a.errors).toEqual([]);
    loader.last.fail(new TabserveError('out_of_memory', 'no'));
  }
  await settle();
  expect([a.errors, a.state, b.load.destroyed()]).toEqual([['out_of_memory'], 'parked', true]);
  void a.generate('again');
  await settle();
  loader.last.finish();
  await settle();
  expect([...loader.last.engine.live.keys()]).toEqual(['again']);
});

test.each(['access_denied', 'model_not_found'] as const)('%s, which somebody has to do something about, ends what waits, and not the model', async (code) => {
  const { a } = await parked();
  void a.generate('ra');
  await settle();
  loader.last.fail(new TabserveError(code, 'sign in, or choose it again'));
  await settle();
  expect([a.errors, a.state, loader.loads.length]).toEqual([[code], 'parked', 3]);
  void a.generate('again');
  await settle();
  loader.last.finish();
  await settle();
  expect([...loader.last.engine.live.keys()]).toEqual(['again']);
});

test('a tab that joins an unloaded model is told at once that it does not come back; who has it loaded keeps it', async () => {
  const { a, b } = await parked();
  void b.tab.generate('rb');
  await expect(new Tab('other', manager).load('a')).rejects.toMatchObject({ code: 'model_busy' });
  expect([a.state, a.errors]).toEqual(['parked', []]);
  b.load.engine.step({ id: 'rb', tokens: [END], finish: 'stop' });
  void a.generate('ra');
  await until(() => loader.loads.length === 3);
  loader.last.finish();
  await settle();
  expect([...loader.last.engine.live.keys()]).toEqual(['ra']);
});

describe('a session that had its model in a worker that has died', () => {
  const resume = { promptTokenIds: bytes('Hi'), tokenIds: bytes('Hel') };

  test('keeps it without loading it, and its requests wait for the tokenizer, in their order', async () => {
    const tab = new Tab('ta', manager);
    tab.restore('a');
    expect([tab.state, loader.loads.length]).toEqual(['parked', 0]);
    const queued = [Promise.resolve(tab.generate('ra', { resume })), Promise.resolve(tab.generate('rb'))];
    await settle();
    expect(tab.metrics).toMatchObject({ state: 'recovering', requestsWaiting: 2 });
    expect(tab.snapshot.requests.map(({ numTokens }) => numTokens)).toEqual([5, 0]);
    loader.last.finish();
    expect(await Promise.all(queued)).toEqual([{ promptTokenIds: bytes('Hi') }, { promptTokenIds: bytes('Hi') }]);
    expect([...loader.last.engine.live.keys()]).toEqual(['ra', 'rb']);
    expect(loader.last.engine.live.get('ra')?.outputTokenIds).toEqual(bytes('Hel'));
  });

  test('has no more of them than would wait for an engine; what the last worker had queued is not refused', async () => {
    const tab = new Tab('ta', manager);
    tab.restore('a');
    const queued = Array.from({ length: 128 }, (_, i) => Promise.resolve(tab.generate(`r${i}`)));
    await expect(tab.generate('one more')).rejects.toMatchObject({ code: 'queue_full' });
    queued.push(Promise.resolve(tab.generate('resumed', { resume })));
    await settle();
    loader.last.finish();
    await Promise.all(queued);
    expect(loader.last.engine.live.size).toBe(129);
  });

  test.each(['abort', 'deadline', 'leave', 'corrupt_model'] as const)('a request that waits so ends alone: %s', async (end) => {
    const [tab, other] = [new Tab('ta', manager), new Tab('tb', manager)];
    for (const each of [tab, other]) each.restore('a');
    const ended = Promise.resolve(tab.generate('ra', { scheduling: { timeoutMs: 5000 } })).then(String, ({ code }: TabserveError) => code);
    const others = Promise.resolve(other.generate('rb')).then(() => 'queued', ({ code }: TabserveError) => code);
    await settle();
    if (end === 'abort') tab.abort('ra');
    else if (end === 'deadline') now = 5001;
    else if (end === 'leave') tab.leave();
    else loader.last.fail(new TabserveError('corrupt_model', 'broken'));
    expect(await ended).toBe({ abort: 'aborted', deadline: 'deadline_exceeded', leave: 'closed', corrupt_model: 'corrupt_model' }[end]);
    loader.last.finish();
    expect(await others).toBe(end === 'corrupt_model' ? 'corrupt_model' : 'queued');
    expect(loader.last.engine.live.has('ra')).toBe(false);
  });
});
