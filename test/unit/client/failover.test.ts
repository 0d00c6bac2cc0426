import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Client } from '../../../src/client/client.ts';
import { ClientSession } from '../../../src/client/session.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import type { EngineStatus } from '../../../src/core/status.ts';
import { bytes, END } from '../../support/fake-model.ts';
import { FakeOrigin } from '../../support/fake-origin.ts';
import { until } from '../../support/until.ts';

const ask = [{ role: 'user', content: 'Hi' }] as const;
let origin: FakeOrigin;

beforeEach(() => {
  origin = new FakeOrigin();
});

afterEach(() => origin.close());

/** What the worker is asked to load, loads. */
async function finishLoad(): Promise<void> {
  await until(() => (origin.loader?.loads.length ?? 0) > 0);
  origin.loader.last.finish();
}

/** A load's result. */
async function settlesTo<Loaded>(loading: Promise<Loaded>): Promise<Loaded> {
  await finishLoad();
  return loading;
}

async function open(): Promise<{ client: Client; statuses: EngineStatus[] }> {
  const session = await origin.connect();
  const loading = session.load({ source: 'm', kvCacheBytes: 5 }, () => {});
  await finishLoad();
  const client = new Client(session, await loading, ['m']);
  const statuses: EngineStatus[] = [];
  client.onStatus((status) => statuses.push(status));
  return { client, statuses };
}

/** The worker dies, and its successor, asked for it, has loaded the model and got `count` requests. */
async function replaceWorker(count: number): Promise<void> {
  await killWorker();
  await finishLoad();
  await until(() => origin.loader.last.engine.live.size === count);
}

async function killWorker(): Promise<void> {
  const before = origin.workers;
  origin.kill();
  await until(() => origin.workers > before);
}

async function collect(stream: AsyncIterable<{ choices: readonly { delta: { content?: string } }[] }>): Promise<string> {
  let text = '';
  for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
  return text;
}

test('a hub token is told to the next worker by the tab that has it, and to no other tab', async () => {
  const hub = { endpoint: 'https://mirror.example', token: 'hf_secret' };
  const session = await origin.connect();
  const loading = session.load({ source: 'hf:o/r/m.gguf', hub, kvCacheBytes: 5 }, () => {});
  await finishLoad();
  expect(await loading).toMatchObject({ settings: { kvCacheBytes: 5 } });
  const other = await origin.connect();
  const joined = await other.load({ source: 'hf:o/r/m.gguf', hub: { endpoint: hub.endpoint } }, () => {});
  expect(JSON.stringify(joined)).not.toContain('hf_secret');
  await killWorker();
  await until(() => origin.manager.metrics().sessions === 2);
  const asked = new Client(other, joined, ['m']).chat.completions.create({ messages: ask, stream: true });
  await finishLoad();
  await asked;
  expect(origin.loader.loads[0]?.options).toEqual({ source: 'hf:o/r/m.gguf', hub, kvCacheBytes: 5 });
});

test('each tab says to the next worker whether its own prompts may be kept, whatever held in the last one', async () => {
  const deletions: number[] = []; // the workers that did so
  const settings = [{ persistPrefixCache: true }, { persistPrefixCache: false }, {}] as const;
  const clients: Client[] = [];
  origin.onDeletePrefixes = () => deletions.push(origin.workers);
  for (const each of settings) {
    const session = await origin.connect();
    const loading = session.load({ source: 'm', ...each }, () => {});
    await finishLoad();
    clients.push(new Client(session, await loading, ['m']));
  }
  const asked = async (): Promise<unknown[]> => {
    const { engine } = origin.loader.last;
    for (const client of clients) await client.chat.completions.create({ messages: ask, stream: true });
    return [...engine.live.values()].map(({ persistPrefix }) => persistPrefix);
  };
  expect(await asked()).toEqual([true, false, false]);
  await replaceWorker(3);
  expect(origin.loader.loads[0]?.options).toMatchObject({ persistPrefixCache: true });
  expect([...origin.loader.last.engine.live.values()].map(({ persistPrefix }) => persistPrefix).toSorted()).toEqual([false, false, true]);
  expect(deletions).toEqual([1]); // once, by the tab that asked for it: what tabs that allow it have kept since is theirs
});

test('every stream of every tab goes on where it was when the worker dies', async () => {
  const { client, statuses } = await open();
  const other = await origin.connect();
  const second = new Client(other, await other.load({ source: 'm' }, () => {}), ['m']);
  const streams = [
    await client.chat.completions.create({ messages: ask, stream: true, seed: 7, tabserve: { timeout_ms: 60_000 } }),
    await second.chat.completions.create({ messages: ask, stream: true }),
  ] as const;
  const [a = '', b = ''] = origin.loader.last.engine.live.keys();
  origin.loader.last.engine.step({ id: a, tokens: bytes('one ') }, { id: b, tokens: bytes('uno') });
  await until(() => streams.every((stream) => stream.timings.ttft_ms !== undefined));
  await replaceWorker(2);
  const { engine } = origin.loader.last;
  expect(origin.loader.last.options).toEqual({ source: 'm', kvCacheBytes: 5 }); // as the first tab asked
  expect(engine.live.get(a)).toMatchObject({ promptTokenIds: bytes('Hi'), outputTokenIds: bytes('one ') });
  expect(engine.live.get(a)?.sampling.seed).toBe(7);
  expect(engine.live.get(a)?.deadline).toBeLessThan(performance.now() + 60_000);
  expect(engine.live.get(b)).toMatchObject({ outputTokenIds: bytes('uno') });
  engine.step({ id: a, tokens: [...bytes('two'), END], finish: 'stop' }, { id: b, tokens: [END], finish: 'stop' });
  expect(await Promise.all(streams.map(collect))).toEqual(['one two', 'uno']);
  expect(streams[0].usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 8 });
  expect(statuses.map(({ state }) => state)).toEqual(['recovering', 'ready']);
});

test('the first tab’s settings hold for the next worker too, when that tab has gone', async () => {
  const { client } = await open();
  const other = await origin.connect();
  await other.load({ source: 'm' }, () => {});
  await client.close();
  await killWorker();
  const third = await origin.connect();
  expect(await settlesTo(third.load({ source: 'm' }, () => {}))).toMatchObject({ settings: { kvCacheBytes: 5 } });
  expect(origin.loader.loads.map(({ options }) => options)).toEqual([{ source: 'm', kvCacheBytes: 5 }]);
});

test('a request that was on its way when the worker died is asked again', async () => {
  const { client } = await open();
  const asked = client.chat.completions.create({ messages: ask, stream: true });
  await replaceWorker(1);
  const stream = await asked;
  origin.loader.last.engine.step({ id: origin.loader.last.engine.only, tokens: bytes('x'), finish: 'length' });
  expect(await collect(stream)).toBe('x');
});

test('a request that comes while there is no worker waits for the next; metrics too', async () => {
  const { client } = await open();
  origin.kill();
  const asked = client.chat.completions.create({ messages: ask });
  const metrics = client.metrics();
  await until(() => origin.workers === 2);
  await finishLoad();
  await until(() => origin.loader.last.engine.live.size === 1);
  origin.loader.last.engine.step({ id: origin.loader.last.engine.only, tokens: bytes('x'), finish: 'length' });
  expect((await asked).choices[0]?.message.content).toBe('x');
  expect((await metrics).state).toBe('recovering'); // it says how things stand
});

test('a load under way when the worker dies is done by the next', async () => {
  const session = await origin.connect();
  const loading = session.load({ source: 'm' }, () => {});
  await until(() => origin.loader.loads.length > 0);
  origin.kill();
  await until(() => origin.workers === 2);
  await finishLoad();
  expect(await loading).toMatchObject({ id: 'm' });
});

test('aborting while there is no worker ends the answer at once, and the next worker never hears of it', async () => {
  const { client } = await open();
  const stream = await client.chat.completions.create({ messages: ask, stream: true });
  origin.kill();
  stream.abort();
  expect(await collect(stream)).toBe('');
  await until(() => origin.workers === 2);
  expect(await client.metrics()).toMatchObject({ state: 'parked', requestsWaiting: 0 });
  expect(origin.loader.loads).toHaveLength(0);
});

test('closing while there is no worker ends everything, and no worker stays in use', async () => {
  const { client } = await open();
  const stream = await client.chat.completions.create({ messages: ask, stream: true });
  origin.kill();
  await until(() => origin.workers === 2);
  await client.close();
  await expect(collect(stream)).rejects.toMatchObject({ code: 'closed' });
  await until(() => origin.manager.metrics().sessions === 0);
});

test('what the next worker cannot load fails the answers with why; the next question tries again', async () => {
  const { client, statuses } = await open();
  const answer = client.chat.completions.create({ messages: ask });
  await until(() => origin.loader.last.engine.live.size === 1);
  await killWorker();
  await until(() => origin.loader.loads.length > 0);
  origin.loader.last.fail(new TabserveError('model_not_found', 'it is gone'));
  await expect(answer).rejects.toMatchObject({ code: 'model_not_found' });
  expect(origin.loader.loads).toHaveLength(1);
  expect(await client.metrics()).toMatchObject({ state: 'parked', requestsWaiting: 0 });
  expect(statuses.at(-1)).toEqual({ state: 'ready' });
  const next = client.chat.completions.create({ messages: ask });
  await until(() => origin.loader.loads.length === 2);
  await answers(next);
});

/** The request under way is answered by the worker that is there. */
async function answers(asked: Promise<unknown>): Promise<void> {
  await finishLoad();
  await until(() => origin.loader.last.engine.live.size === 1);
  origin.loader.last.engine.step({ id: origin.loader.last.engine.only, tokens: bytes('x'), finish: 'length' });
  await asked;
}

describe('workers that die again and again', () => {
  test('before a token comes: the request ends, as the likely cause, and nothing else does', async () => {
    const { client } = await open();
    const answer = client.chat.completions.create({ messages: ask });
    const failed = expect(answer).rejects.toMatchObject({ code: 'device_lost' });
    await until(() => origin.loader.last.engine.live.size === 1);
    for (let i = 0; i < 3; i++) await replaceWorker(1);
    await killWorker();
    await failed;
    expect((await client.metrics()).requestsWaiting).toBe(0);
    await answers(client.chat.completions.create({ messages: ask }));
  });

  test('while a tab asks nothing: that is no fault of the tab’s, which is answered when it asks', async () => {
    const { client, statuses } = await open();
    for (let i = 0; i < 3; i++) {
      await killWorker();
      await client.metrics();
    }
    origin.kill();
    await until(() => statuses.at(-1)?.state === 'ready');
    await answers(client.chat.completions.create({ messages: ask }));
    expect(statuses.at(-1)).toEqual({ state: 'ready' });
    await killWorker(); // a token has come: they are counted anew
    await until(() => origin.manager.metrics().sessions === 1);
  });

  test('under a load: createClient fails', async () => {
    const session = await origin.connect();
    const failed = expect(session.load({ source: 'm' }, () => {})).rejects.toMatchObject({ code: 'device_lost' });
    for (let i = 0; i < 4; i++) {
      await until(() => (origin.loader?.loads.length ?? 0) > 0);
      await killWorker();
    }
    await failed;
    await session.close(new TabserveError('closed', ''));
  });
});

test('a worker that cannot be reached fails what was asked, and is looked for again when something is', async () => {
  const { transport } = origin;
  let refusals = 0;
  const open: typeof transport.open = async (signal) => {
    if (refusals-- > 0) throw new TabserveError('invalid_request', 'HTTP 503', { param: 'workerUrl' });
    return transport.open(signal);
  };
  const session = await ClientSession.open({ ...transport, open }, origin.locks.locks, new AbortController().signal);
  const client = new Client(session, await settlesTo(session.load({ source: 'm' }, () => {})), ['m']);
  const answer = client.chat.completions.create({ messages: ask });
  await until(() => origin.loader.last.engine.live.size === 1);
  refusals = 2;
  origin.kill();
  await expect(answer).rejects.toMatchObject({ code: 'invalid_request', param: 'workerUrl' });
  await expect(client.metrics()).rejects.toMatchObject({ code: 'invalid_request' });
  await client.metrics();
  await answers(client.chat.completions.create({ messages: ask }));
});

test('a link to a worker that is dying already, after its lock was released, is opened anew', async () => {
  const silent: MessagePort[] = [];
  const { transport } = origin;
  let deadLinks = 1;
  const open: typeof transport.open = async (signal) => {
    if (deadLinks-- <= 0) return transport.open(signal);
    const { port1, port2 } = new MessageChannel();
    silent.push(port1, port2);
    return { link: port2, hostLock: undefined, broken: new AbortController().signal };
  };
  const session = await ClientSession.open({ ...transport, open }, origin.locks.locks, new AbortController().signal, { handshakeTimeoutMs: 20 });
  const loading = session.load({ source: 'm' }, () => {});
  await finishLoad();
  const client = new Client(session, await loading, ['m']);
  const stream = await client.chat.completions.create({ messages: ask, stream: true });
  origin.loader.last.engine.step({ id: origin.loader.last.engine.only, tokens: bytes('x') });
  await until(() => stream.timings.ttft_ms !== undefined);
  deadLinks = 2;
  await replaceWorker(1);
  origin.loader.last.engine.step({ id: origin.loader.last.engine.only, tokens: bytes('y'), finish: 'length' });
  expect(await collect(stream)).toBe('xy');
  for (const port of silent) port.close();
});

test.each(['as they were sent', 'the last one first'])('a worker that was only slow takes the last handshake for the session\u2019s: heard %s', async (order) => {
  const links: MessagePort[] = [];
  const { transport } = origin;
  // What is said on a link is heard only when the worker is up.
  const open: typeof transport.open = async () => {
    const { port1, port2 } = new MessageChannel();
    links.push(port1);
    port2.start();
    return { link: port2, hostLock: undefined, broken: new AbortController().signal };
  };
  const opening = ClientSession.open({ ...transport, open }, origin.locks.locks, new AbortController().signal, { handshakeTimeoutMs: 20 });
  await until(() => links.length === 2);
  for (const link of order === 'the last one first' ? links.toReversed() : links) {
    origin.answer(link);
    await new Promise((resolve) => setImmediate(resolve)); // it is heard
  }
  const session = await opening;
  expect((await session.call((host) => host.metrics())).sessions).toBe(1);
  await session.close(new TabserveError('closed', ''));
  expect(origin.manager.metrics().sessions).toBe(0);
});

test('a status listener that asks at once is answered by the next worker', async () => {
  const { client } = await open();
  const asked: Promise<{ state: string }>[] = [];
  client.onStatus(({ state }) => {
    if (state === 'recovering') asked.push(client.metrics());
  });
  for (let i = 0; i < 3; i++) await killWorker().then(() => client.metrics());
  origin.kill(); // no other worker is connected to before something is asked
  await until(() => !origin.locks.isHeld(origin.hostLock));
  await client.metrics();
  expect((await Promise.all(asked)).map(({ state }) => state)).toEqual(['parked', 'parked', 'parked', 'parked']);
  expect(origin.workers).toBe(5);
});
