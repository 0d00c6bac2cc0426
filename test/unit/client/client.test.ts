import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Client } from '../../../src/client/client.ts';
import type { LogLine } from '../../../src/client/client.ts';
import { ClientSession } from '../../../src/client/session.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import { expose, wrap } from 'comlink';
import type { EngineHost } from '../../../src/core/protocol.ts';
import type { FakeLocks } from '../../support/fake-locks.ts';
import { bytes, END } from '../../support/fake-model.ts';
import type { FakeEngine } from '../../support/fake-model.ts';
import { FakeOrigin } from '../../support/fake-origin.ts';
import { until } from '../../support/until.ts';

const ask = [{ role: 'user', content: 'Hi' }] as const;
let origin: FakeOrigin;
let locks: FakeLocks;
const never = new AbortController().signal;

beforeEach(() => {
  origin = new FakeOrigin();
  ({ locks } = origin);
});

afterEach(() => origin.close());

const connect = (): Promise<ClientSession> => origin.connect();

async function open(): Promise<{ client: Client; session: ClientSession; engine: FakeEngine }> {
  const session = await connect();
  const loading = session.load({ source: 'm' }, () => {});
  await until(() => origin.loader.loads.length > 0);
  origin.loader.last.finish();
  return { client: new Client(session, await loading, ['m']), session, engine: origin.loader.last.engine };
}

/** A transport whose worker is what a test says. */
function transportTo(link: MessagePort) {
  link.start();
  return { open: async () => ({ link, hostLock: undefined, broken: never }), close: () => {} };
}

describe('the session', () => {
  test('errors keep code, message and parameter on their way to the tab', async () => {
    const session = await connect();
    const loading = session.load({ source: 'm' }, () => {});
    await until(() => origin.loader.loads.length > 0);
    origin.loader.last.fail(new TabserveError('unsupported_tensor', 'blk.0 is Q2_K', { param: 'blk.0' }));
    const error: unknown = await loading.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TabserveError);
    expect(error).toMatchObject({ code: 'unsupported_tensor', message: 'blk.0 is Q2_K', param: 'blk.0' });
  });

  test('an error that is not tabserve\'s comes as internal', async () => {
    const session = await connect();
    const { port1, port2 } = new MessageChannel();
    const hello = { lockName: origin.hostLock, hasWebGpu: true };
    expose({ connect: () => hello, metrics: () => { throw new RangeError('oops'); } }, port1);
    const broken = await ClientSession.open(transportTo(port2), locks.locks, never);
    await expect(broken.call((host) => host.metrics())).rejects.toMatchObject({ code: 'internal', message: 'RangeError: oops' });
    expect((await session.call((host) => host.metrics())).state).toBe('idle');
    port1.close();
  });

  test('progress arrives, and a listener that throws does not stop the load', async () => {
    const session = await connect();
    const seen: number[] = [];
    const loading = session.load({ source: 'm' }, ({ bytesDone }) => {
      seen.push(bytesDone);
      throw new Error('a bug in the page');
    });
    await until(() => origin.loader.loads.length > 0);
    origin.loader.last.context.onProgress({ stage: 'load', bytesDone: 5, bytesTotal: 9, bytesPerSecond: 1, secondsLeft: 4 });
    origin.loader.last.finish();
    expect(await loading).toMatchObject({ id: 'm' });
    await until(() => seen.length === 2);
    expect(seen).toEqual([5, 1000]);
  });

  test('a tab whose lock is released is gone: its requests end', async () => {
    const { client, session, engine } = await open();
    await client.chat.completions.create({ messages: ask, stream: true });
    expect(engine.live.size).toBe(1);
    locks.breakLock(session.lockName);
    await until(() => engine.live.size === 0);
    expect(origin.manager.metrics().sessions).toBe(0);
  });

  test('nothing that all of the origin sees names the session, and its lock’s name takes over nothing', async () => {
    const { client, session, engine } = await open();
    await client.chat.completions.create({ messages: ask, stream: true });
    const stranger = wrap<EngineHost>(origin.openLink());
    for (const lockName of locks.held) {
      expect(lockName).not.toContain(session.sessionId);
      for (const sessionId of [lockName, lockName.slice(lockName.lastIndexOf(':') + 1)]) {
        await wrap<EngineHost>(origin.openLink()).connect({ sessionId, lockName, isHidden: false, handshake: 99 });
      }
    }
    await stranger.connect({ sessionId: 'stranger', lockName: session.lockName, isHidden: false, handshake: 99 });
    await stranger.disconnect();
    expect(engine.live.size).toBe(1);
    expect(locks.isHeld(session.lockName)).toBe(true);
  });

  test('a worker that never answers is given up, and the lock with it', async () => {
    const { port1, port2 } = new MessageChannel();
    const giveUp = new AbortController();
    const names: string[] = [];
    const request = locks.locks.request.bind(locks.locks) as (...args: unknown[]) => Promise<unknown>;
    const noting = { ...locks.locks, request: (...args: unknown[]) => (names.push(String(args[0])), request(...args)) };
    const opening = ClientSession.open(transportTo(port2), noting as typeof locks.locks, giveUp.signal);
    giveUp.abort(new TabserveError('internal', 'no answer'));
    await expect(opening).rejects.toMatchObject({ code: 'internal', message: 'no answer' });
    expect(names).toHaveLength(1);
    await until(() => !locks.isHeld(names[0] ?? ''));
    port1.close();
  });

  test('a tab sees what the engine holds, over the link as well', async () => {
    const { client } = await open();
    await client.chat.completions.create({ messages: ask, stream: true });
    expect(await client.inspect()).toEqual({
      sessions: [{ session: 1, isOwn: true }],
      requests: [{
        id: 'r1', session: 1, isOwn: true, state: 'running', numTokens: 2, numComputedTokens: 2, blockTable: [0, 1],
      }],
      maxNumSeqs: 4,
      pool: { numBlocks: 64, blockSize: 16, numFree: 62, cachedFree: [63], shared: [] },
    });
  });

  test('profiles and limits come over the link, and so does why there are none', async () => {
    const { client } = await open();
    expect(await client.profile({ steps: 3 })).toMatchObject({ phase: 'decode', kernels: [] });
    expect(await client.limits()).toMatchObject({ dispatchUs: 2 });
    await client.close();
    await expect(client.profile()).rejects.toMatchObject({ code: 'closed' });
  });

  test('log lines reach the client', async () => {
    const { client } = await open();
    const lines: LogLine[] = [];
    client.onLog((line) => lines.push(line));
    origin.manager.sessions.log('warn', 'low on memory');
    await until(() => lines.length > 0);
    expect(lines).toMatchObject([{ level: 'warn', message: 'low on memory' }]);
  });
});

describe('whole answers', () => {
  test('text, usage and timings', async () => {
    const { client, engine } = await open();
    const answer = client.chat.completions.create({ messages: ask, model: 'm', seed: 1, stop: '!' });
    await until(() => engine.live.size === 1);
    const { only } = engine;
    engine.step({ id: only, tokens: bytes('Hé'), scheduled: performance.now(), cached: 1 });
    engine.step({ id: only, tokens: bytes('llo! And'), cached: 1 });
    expect(await answer).toEqual({
      id: `chatcmpl-${only}`, object: 'chat.completion', created: expect.closeTo(Date.now() / 1000, -1), model: 'm',
      choices: [{
        index: 0, message: { role: 'assistant', content: 'Héllo', refusal: null }, logprobs: null,
        finish_reason: 'stop',
      }],
      usage: {
        prompt_tokens: 2, completion_tokens: 7, total_tokens: 9, prompt_tokens_details: { cached_tokens: 1 },
        tabserve: {
          queue_ms: expect.any(Number), ttft_ms: expect.any(Number), itl_ms: expect.any(Number),
          tokens_per_second: expect.anything(),
        },
      },
    });
  });

  test('sampling parameters reach the engine', async () => {
    const { client, engine } = await open();
    const params = { top_p: 0.5, top_k: 9, min_p: 0.1, repetition_penalty: 2, presence_penalty: 1, frequency_penalty: -1 };
    await client.chat.completions.create({ messages: ask, stream: true, seed: 3, ...params, logit_bias: { 5: -1 } });
    expect(engine.live.get(engine.only)?.sampling).toMatchObject({
      temperature: 1, seed: 3, topP: 0.5, topK: 9, minP: 0.1,
      repetitionPenalty: 2, presencePenalty: 1, frequencyPenalty: -1, logitBias: [[5, -1]],
    });
    const unknown = client.chat.completions.create({ messages: ask, logit_bias: { 300: 1 } });
    await expect(unknown).rejects.toMatchObject({ code: 'invalid_request', param: 'logit_bias' });
  });

  test('the signal rejects with aborted, and ends the request in the worker', async () => {
    const { client, engine } = await open();
    const controller = new AbortController();
    const answer = client.chat.completions.create({ messages: ask }, { signal: controller.signal });
    await until(() => engine.live.size === 1);
    controller.abort();
    await expect(answer).rejects.toMatchObject({ code: 'aborted' });
    await until(() => engine.live.size === 0);
    const again = client.chat.completions.create({ messages: ask }, { signal: controller.signal });
    await expect(again).rejects.toMatchObject({ code: 'aborted' });
    await client.metrics(); // the worker has seen all that came before
    expect(engine.added).toBe(1);
  });

  test('what is malformed never reaches the worker; what the engine refuses comes back typed', async () => {
    const { client } = await open();
    await expect(client.chat.completions.create({ messages: [] })).rejects.toMatchObject({ param: 'messages' });
    const long = [{ role: 'user', content: 'x'.repeat(1001) }] as const;
    const refused = client.chat.completions.create({ messages: long, stream: true });
    await expect(refused).rejects.toMatchObject({ code: 'context_length_exceeded' });
  });
});

describe('streams', () => {
  test('OpenAI chunks: role, contents, finish, usage', async () => {
    const { client, engine } = await open();
    const params = { messages: ask, stream: true, stream_options: { include_usage: true } } as const;
    const stream = await client.chat.completions.create(params);
    engine.step({ id: engine.only, tokens: bytes('é'), scheduled: performance.now() });
    engine.step({ id: engine.only, tokens: [...bytes('x'), END], finish: 'stop' });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices }) => choices)).toEqual([
      [{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
      [{ index: 0, delta: { content: 'é' }, logprobs: null, finish_reason: null }],
      [{ index: 0, delta: { content: 'x' }, logprobs: null, finish_reason: null }],
      [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }],
      [],
    ]);
    expect(new Set(chunks.map(({ id, object, model }) => `${id} ${object} ${model}`))).toEqual(
      new Set([`${stream.id} chat.completion.chunk m`]),
    );
    expect(chunks.map(({ usage }) => usage)).toEqual([null, null, null, null, stream.usage]);
    expect(stream.usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 4, tabserve: stream.timings });
    expect(() => stream[Symbol.asyncIterator]()).toThrow(/once/);
  });

  test('without include_usage no chunk has usage', async () => {
    const { client, engine } = await open();
    const stream = await client.chat.completions.create({ messages: ask, stream: true });
    engine.step({ id: engine.only, tokens: bytes('x'), finish: 'length' });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('length');
    expect(stream.timings.queue_ms).toBeDefined();
  });

  test('an answer that nobody reads is there in full when somebody does', async () => {
    const { client, engine } = await open();
    const stream = await client.chat.completions.create({ messages: ask, stream: true });
    for (const id of bytes('a long answer')) engine.step({ id: engine.only, tokens: [id] });
    engine.step({ id: engine.only, tokens: [END], finish: 'stop' });
    await until(() => stream.usage !== undefined);
    let text = '';
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    expect(text).toBe('a long answer');
  });

  test('leaving the loop ends the request', async () => {
    const { client, engine } = await open();
    const stream = await client.chat.completions.create({ messages: ask, stream: true });
    engine.step({ id: engine.only, tokens: bytes('abc') });
    for await (const { choices } of stream) if (choices[0]?.delta.content === 'a') break;
    await until(() => engine.live.size === 0);
  });

  test.each(['abort()', 'controller', 'signal'])('%s ends the loop without an error, and the request', async (how) => {
    const { client, engine } = await open();
    const outer = new AbortController();
    const stream = await client.chat.completions.create({ messages: ask, stream: true }, { signal: outer.signal });
    engine.step({ id: engine.only, tokens: bytes('abc') });
    let text = '';
    for await (const { choices } of stream) {
      text += choices[0]?.delta.content ?? '';
      if (text !== 'a') continue;
      if (how === 'abort()') stream.abort();
      else if (how === 'controller') stream.controller.abort();
      else outer.abort();
    }
    expect(text).toBe('a');
    await until(() => engine.live.size === 0);
  });

  test('an abort wakes a loop that waits', async () => {
    const { client, engine } = await open();
    const stream = await client.chat.completions.create({ messages: ask, stream: true });
    const reading = (async () => { for await (const _ of stream); })();
    stream.abort();
    await reading;
    await until(() => engine.live.size === 0);
  });

  test('a failure while streaming is thrown, after what had come', async () => {
    const { client, engine } = await open();
    const stream = await client.chat.completions.create({ messages: ask, stream: true });
    engine.step({ id: engine.only, tokens: bytes('ab') });
    engine.fail(new TabserveError('internal', 'a bug'));
    let text = '';
    const reading = (async () => {
      for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    })();
    await expect(reading).rejects.toMatchObject({ code: 'internal' });
    expect(text).toBe('ab');
  });

  test('toReadableStream gives lines of JSON; cancelling it ends the request', async () => {
    const { client, engine } = await open();
    const first = await client.chat.completions.create({ messages: ask, stream: true });
    engine.step({ id: engine.only, tokens: bytes('x'), finish: 'length' });
    const lines = (await new Response(first.toReadableStream()).text()).trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { choices: [{ delta: unknown }] }).choices[0].delta)).toEqual(
      [{ role: 'assistant', content: '' }, { content: 'x' }, {}],
    );
    const second = await client.chat.completions.create({ messages: ask, stream: true });
    expect(engine.live.size).toBe(1);
    await second.toReadableStream().cancel();
    await until(() => engine.live.size === 0);
  });

  test('two tabs stream at once, each its own answer', async () => {
    const { client, engine } = await open();
    const session = await connect();
    const other = new Client(session, await session.load({ source: 'm' }, () => {}), ['m']);
    const answers = [client, other].map((each) => each.chat.completions.create({ messages: ask }));
    await until(() => engine.live.size === 2);
    const [a = '', b = ''] = engine.live.keys();
    engine.step({ id: a, tokens: bytes('one') }, { id: b, tokens: bytes('two') });
    engine.step({ id: b, tokens: [END], finish: 'stop' }, { id: a, tokens: [END], finish: 'stop' });
    const texts = (await Promise.all(answers)).map(({ choices }) => choices[0]?.message.content);
    expect(texts.toSorted()).toEqual(['one', 'two']);
    expect((await client.metrics()).sessions).toBe(2);
  });
});

describe('close', () => {
  test('ends what is live with closed, frees the session, and refuses later calls', async () => {
    const { client, session, engine } = await open();
    const stream = await client.chat.completions.create({ messages: ask, stream: true });
    const answer = client.chat.completions.create({ messages: ask });
    const failed = expect(answer).rejects.toMatchObject({ code: 'closed' });
    await until(() => engine.live.size === 2);
    const closing = client.close();
    await expect(client.metrics()).rejects.toMatchObject({ code: 'closed' });
    await closing;
    await failed;
    const reading = (async () => { for await (const _ of stream); })();
    await expect(reading).rejects.toMatchObject({ code: 'closed' });
    expect(engine.live.size).toBe(0);
    expect(origin.manager.metrics().sessions).toBe(0);
    await until(() => !locks.isHeld(session.lockName));
    await expect(client.metrics()).rejects.toMatchObject({ code: 'closed' });
    await expect(client.chat.completions.create({ messages: ask })).rejects.toMatchObject({ code: 'closed' });
    await client.close();
  });
});
