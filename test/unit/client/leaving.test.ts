import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import type { ChatCompletionStream } from '../../../src/client/completion-stream.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import { bytes, END } from '../../support/fake-model.ts';
import type { FakeEngine } from '../../support/fake-model.ts';
import { FakeOrigin } from '../../support/fake-origin.ts';
import { until } from '../../support/until.ts';

// A stream that its reader has left, at whatever moment and by whatever means, ends its request; what it was is told.

let origin: FakeOrigin;
let client: Client;
let engine: FakeEngine;

beforeEach(async () => {
  origin = new FakeOrigin();
  ({ client, engine } = await origin.openClient());
});

afterEach(() => origin.close());

const ask = (n = 1): Promise<ChatCompletionStream> =>
  client.chat.completions.create({ messages: [{ role: 'user', content: 'Hi' }], stream: true, n });

const DONE = { done: true, value: undefined };

/** The worker has seen all that was sent before, and holds no request. */
async function expectNothingRuns(): Promise<void> {
  await client.metrics();
  expect(engine.live.size).toBe(0);
}

describe('an iterator', () => {
  test.each([1, 3])('left before its first chunk ends the request (n: %i)', async (n) => {
    const stream = await ask(n);
    const chunks = stream[Symbol.asyncIterator]();
    expect(await chunks.return(undefined)).toEqual(DONE);
    expect(await chunks.next()).toEqual(DONE);
    expect(stream.aborted).toBe(true);
    await expectNothingRuns();
  });

  test.each([1, 3])('left while chunks are waited for ends the request at once, and so those that wait (n: %i)', async (n) => {
    const stream = await ask(n);
    const chunks = stream[Symbol.asyncIterator]();
    const waiting = [chunks.next(), chunks.next()];
    expect(await chunks.return(undefined)).toEqual(DONE);
    expect(await Promise.all(waiting)).toEqual([DONE, DONE]);
    expect(stream.aborted).toBe(true);
    await expectNothingRuns();
  });

  test('left between two chunks gives no more of them, though they are there', async () => {
    const stream = await ask();
    engine.step({ id: engine.only, tokens: bytes('abc') });
    const chunks = stream[Symbol.asyncIterator]();
    expect((await chunks.next()).value).toMatchObject({ choices: [{ delta: { role: 'assistant' } }] });
    expect((await chunks.next()).value).toMatchObject({ choices: [{ delta: { content: 'a' } }] });
    expect(await chunks.return(undefined)).toEqual(DONE);
    expect(await chunks.next()).toEqual(DONE);
    await expectNothingRuns();
  });

  test.each(['before', 'while'])('that is thrown into %s a chunk is waited for rejects with that, and ends the request', async (when) => {
    const stream = await ask();
    const chunks = stream[Symbol.asyncIterator]();
    const waiting = when === 'while' ? chunks.next() : Promise.resolve(DONE);
    const error = new Error('the reader’s own');
    await expect(chunks.throw(error)).rejects.toBe(error);
    expect(await waiting).toEqual(DONE);
    await expectNothingRuns();
  });

  test('left after the end, or at the last chunk, aborts nothing', async () => {
    for (const last of ['after', 'at'] as const) {
      const stream = await ask();
      engine.step({ id: engine.only, tokens: [...bytes('x'), END], finish: 'stop' });
      for await (const { choices } of stream) if (last === 'at' && choices[0]?.finish_reason === 'stop') break;
      stream[Symbol.dispose]();
      expect(stream.aborted).toBe(false);
    }
  });

  test('is one a stream: a second one is refused, and the first goes on', async () => {
    const stream = await ask();
    const chunks = stream[Symbol.asyncIterator]();
    expect(() => stream[Symbol.asyncIterator]()).toThrow(TabserveError);
    engine.step({ id: engine.only, tokens: bytes('a') });
    expect((await chunks.next()).done).toBe(false);
    await chunks.return(undefined);
  });

  test('reads its chunks in order, however many are asked for at once', async () => {
    const stream = await ask();
    engine.step({ id: engine.only, tokens: bytes('ab'), finish: 'length' });
    const chunks = stream[Symbol.asyncIterator]();
    const results = await Promise.all(Array.from({ length: 5 }, () => chunks.next()));
    const said = results.map(({ value }) => value?.choices[0]?.delta.content ?? value?.choices[0]?.finish_reason);
    expect(said).toEqual(['', 'a', 'b', 'length', undefined]);
    expect(results.at(-1)).toEqual(DONE);
  });
});

describe('what reads a stream by its iterator', () => {
  test.each(['before', 'while'])('a ReadableStream that is cancelled %s a chunk is waited for', async (when) => {
    for (const open of [(stream: ChatCompletionStream) => stream.toReadableStream(), readableFrom]) {
      const readable = open(await ask());
      const reader = readable.getReader();
      const waiting = when === 'while' ? reader.read() : undefined;
      await reader.cancel();
      if (waiting !== undefined) expect(await waiting).toEqual(DONE);
      await expectNothingRuns();
    }
  });

  test('a block that it is declared in by `using`, or its client by `await using`', async () => {
    {
      using stream = await ask();
      expect(stream.aborted).toBe(false);
    }
    await expectNothingRuns();
    {
      await using closed = client;
      await closed.metrics();
    }
    await expect(client.metrics()).rejects.toMatchObject({ code: 'closed' });
  });

  test('nothing: an answer that is never read is generated to its end', async () => {
    const stream = await ask();
    engine.step({ id: engine.only, tokens: [...bytes('ab'), END], finish: 'stop' });
    await until(() => stream.usage !== undefined);
    expect(stream.usage).toMatchObject({ completion_tokens: 3 });
    expect(stream.aborted).toBe(false);
    expect(stream.tokenIds()).toEqual([]);
  });
});

/** `ReadableStream.from`, which Chromium does not have. */
function readableFrom<Value>(values: AsyncIterable<Value>): ReadableStream<Value> {
  return (ReadableStream as unknown as { from(values: AsyncIterable<Value>): ReadableStream<Value> }).from(values);
}

describe('a stream tells', () => {
  /** Reads until a text comes. */
  async function readUntil(stream: ChatCompletionStream, text: string, then: () => void): Promise<void> {
    for await (const { choices } of stream) if (choices[0]?.delta.content === text) then();
  }

  test('in its loop, the tokens that the text so far is made of, and the prompt’s', async () => {
    const stream = await ask();
    expect(stream.promptTokenIds()).toEqual(bytes('Hi'));
    engine.step({ id: engine.only, tokens: bytes('aéb'), finish: 'length' });
    const seen: (readonly number[])[] = [];
    for await (const { choices } of stream) if (choices[0]?.delta.content) seen.push(stream.tokenIds());
    expect(seen).toEqual([bytes('a'), bytes('aé'), bytes('aéb')]); // of é the first half has no text
  });

  test('after an abort, what was generated by then, as far as it knows', async () => {
    const stream = await ask();
    engine.step({ id: engine.only, tokens: bytes('abc'), cached: 1 });
    await readUntil(stream, 'b', () => stream.abort());
    expect(stream.aborted).toBe(true);
    expect(stream.tokenIds()).toEqual(bytes('ab'));
    const { usage } = stream;
    expect(usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 3, total_tokens: 5, tabserve: stream.timings });
    expect(usage).not.toHaveProperty('prompt_tokens_details'); // which the answer's end would have told
    await expectNothingRuns();
  });

  test('nothing of usage while a choice runs; then of all, each with what it came to', async () => {
    const stream = await ask(2);
    const [a = '', b = ''] = engine.live.keys();
    engine.step({ id: a, tokens: [...bytes('whole'), END], finish: 'stop', cached: 1 }, { id: b, tokens: bytes('x') });
    await client.metrics();
    expect(stream.usage).toBeUndefined();
    const chunks = stream[Symbol.asyncIterator]();
    for (let i = 0; i < 4; i++) await chunks.next();
    await chunks.return(undefined);
    expect(stream.usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 6 + 1 });
    expect([stream.promptTokenIds(1), stream.promptTokenIds(2), stream.tokenIds(2)]).toEqual([bytes('Hi'), [], []]);
  });

  test('that it has failed by throwing, and not as aborted; that it was superseded, as both', async () => {
    for (const [code, aborted] of [['deadline_exceeded', false], ['aborted', true]] as const) {
      const stream = await ask();
      engine.step({ id: engine.only, tokens: [], finish: 'abort', error: { code, message: 'over' } });
      await expect(readUntil(stream, 'nothing', () => {})).rejects.toMatchObject({ code });
      expect(stream.aborted).toBe(aborted);
      expect(stream.controller.signal.aborted).toBe(false);
    }
  });

  test('a caller’s signal no longer listens to a stream that is over', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const stream = await client.chat.completions.create({ messages: [{ role: 'user', content: 'Hi' }], stream: true }, { signal });
    engine.step({ id: engine.only, tokens: bytes('x'), finish: 'length' });
    for await (const _ of stream);
    controller.abort();
    expect(stream.controller.signal.aborted).toBe(false);
    expect(stream.aborted).toBe(false);
  });
});

describe('an abort', () => {
  test('is a TabserveError named AbortError, with the signal’s reason as its cause', async () => {
    const controller = new AbortController();
    const answer = client.chat.completions.create({ messages: [{ role: 'user', content: 'Hi' }] }, { signal: controller.signal });
    await until(() => engine.live.size === 1);
    controller.abort(new Error('changed my mind'));
    const error: unknown = await answer.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TabserveError);
    expect(error).toMatchObject({ name: 'AbortError', code: 'aborted', cause: new Error('changed my mind') });
    expect(new TabserveError('closed', '').name).toBe('TabserveError');
  });

  test('keeps its name on its way from the worker', async () => {
    const loading = client.chat.completions.create({ messages: [{ role: 'user', content: 'Hi' }] });
    await until(() => engine.live.size === 1);
    engine.step({ id: engine.only, tokens: [], finish: 'abort', error: { code: 'aborted', message: 'superseded' } });
    await expect(loading).rejects.toMatchObject({ name: 'AbortError', code: 'aborted', message: 'superseded' });
  });
});
