import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import { bytes, END } from '../../support/fake-model.ts';
import type { FakeEngine, FakeOutput } from '../../support/fake-model.ts';
import { FakeOrigin } from '../../support/fake-origin.ts';
import { until } from '../../support/until.ts';

// `n`: several answers to one prompt.

const ask = [{ role: 'user', content: 'Hi' }] as const;
let origin: FakeOrigin;
let client: Client;
let engine: FakeEngine;

beforeEach(async () => {
  origin = new FakeOrigin();
  ({ client, engine } = await origin.openClient());
});

afterEach(() => origin.close());

/** The engine's requests by choice. */
function ids(): string[] {
  return [...engine.live.values()].toSorted((a, b) => a.choice - b.choice).map(({ requestId }) => requestId);
}

test('each choice is a request of its own: the same prompt and seed, another choice', async () => {
  const stream = await client.chat.completions.create({ messages: ask, stream: true, n: 3, seed: 7 });
  const requests = [...engine.live.values()];
  const base = stream.id.replace('chatcmpl-', '');
  expect(requests.map(({ requestId, choice, completionId }) => [requestId, choice, completionId])).toEqual(
    [0, 1, 2].map((choice) => [`${base}:${choice}`, choice, base]),
  );
  for (const { promptTokenIds, sampling } of requests) {
    expect([promptTokenIds, sampling.seed]).toEqual([bytes('Hi'), 7]);
  }
  stream.abort();
  await until(() => engine.live.size === 0);
});

test('a whole answer: the choices by index, the prompt counted once', async () => {
  const answer = client.chat.completions.create({ messages: ask, n: 3 });
  await until(() => engine.live.size === 3);
  const [a = '', b = '', c = ''] = ids();
  engine.step({ id: b, tokens: bytes('two'), finish: 'length', cached: 2 }, { id: a, tokens: bytes('on') });
  engine.step({ id: c, tokens: [...bytes('three'), END], finish: 'stop', cached: 2 }, { id: a, tokens: bytes('e') });
  engine.step({ id: a, tokens: [END], finish: 'stop' });
  const { choices, usage } = await answer;
  expect(choices.map(({ index, message, finish_reason }) => [index, message.content, finish_reason])).toEqual([
    [0, 'one', 'stop'], [1, 'two', 'length'], [2, 'three', 'stop'],
  ]);
  expect(usage).toMatchObject({
    prompt_tokens: 2, completion_tokens: 4 + 3 + 6, total_tokens: 15, prompt_tokens_details: { cached_tokens: 0 },
  });
});

test('a stream: the choices’ chunks as they come, a role and a finish each, one usage at the end of all', async () => {
  const params = { messages: ask, stream: true, n: 2, stream_options: { include_usage: true } } as const;
  const stream = await client.chat.completions.create(params);
  const [a = '', b = ''] = ids();
  const chunks: string[] = [];
  let usages = 0;
  const reading = (async () => {
    for await (const { choices, usage } of stream) {
      if (usage !== null) usages++;
      for (const { index, delta, finish_reason } of choices) {
        chunks.push(`${index} ${finish_reason ?? (delta.role === undefined ? delta.content : 'role')}`);
      }
    }
  })();
  const step = async (count: number, ...outputs: readonly FakeOutput[]): Promise<void> => {
    engine.step(...outputs);
    await until(() => chunks.length === count);
  };
  await step(2, { id: b, tokens: bytes('x') });
  await step(5, { id: a, tokens: bytes('p') }, { id: b, tokens: bytes('y') });
  await step(6, { id: b, tokens: [END], finish: 'stop' });
  expect(stream.usage).toBeUndefined();
  await step(7, { id: a, tokens: bytes('q') });
  await step(8, { id: a, tokens: [END], finish: 'stop' });
  await reading;
  expect(chunks).toEqual(['1 role', '1 x', '0 role', '0 p', '1 y', '1 stop', '0 q', '0 stop']);
  expect(usages).toBe(1);
  expect(stream.usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 6 });
});

test('leaving a stream early ends all choices', async () => {
  const stream = await client.chat.completions.create({ messages: ask, stream: true, n: 4 });
  const [, b = ''] = ids();
  engine.step({ id: b, tokens: bytes('x') });
  for await (const { choices } of stream) if (choices[0]?.delta.content === 'x') break;
  await until(() => engine.live.size === 0);
});

test.each([true, false])('an error of one choice fails the answer and ends the others (stream: %s)', async (stream) => {
  const answer = client.chat.completions.create({ messages: ask, stream, n: 3 });
  await until(() => engine.live.size === 3);
  const [a = '', , c = ''] = ids();
  const reading = (async () => {
    const result = await answer;
    if (Symbol.asyncIterator in result) for await (const _ of result);
  })();
  engine.step({ id: a, tokens: bytes('x') });
  engine.step({ id: c, tokens: [], finish: 'abort', error: { code: 'deadline_exceeded', message: 'late' } });
  await expect(reading).rejects.toMatchObject({ code: 'deadline_exceeded' });
  await until(() => engine.live.size === 0);
});

test('where one choice is refused none goes on', async () => {
  const add = engine.add.bind(engine);
  vi.spyOn(engine, 'add').mockImplementation((request) => {
    if (request.choice === 2) throw new TabserveError('queue_full', 'full', { details: { retryAfterMs: 5 } });
    add(request);
  });
  const refused = client.chat.completions.create({ messages: ask, n: 4, stream: true });
  await expect(refused).rejects.toMatchObject({ code: 'queue_full', details: { retryAfterMs: 5 } });
  await until(() => engine.live.size === 0);
  expect(engine.added).toBe(3);
});

test('the choices go on, each where it was, when the worker dies', async () => {
  const answer = client.chat.completions.create({ messages: ask, n: 2, seed: 5 });
  await until(() => engine.live.size === 2);
  const [a = '', b = ''] = ids();
  engine.step({ id: a, tokens: bytes('on') }, { id: b, tokens: [...bytes('two'), END], finish: 'stop' });
  await client.metrics(); // what was sent before has arrived
  const before = origin.workers;
  origin.kill();
  await until(() => origin.workers > before && origin.loader.loads.length > 0);
  origin.loader.last.finish();
  ({ engine } = origin.loader.last);
  await until(() => engine.live.size === 1);
  expect(engine.live.get(a)).toMatchObject({ choice: 0, outputTokenIds: bytes('on'), sampling: { seed: 5 } });
  engine.step({ id: a, tokens: [...bytes('e'), END], finish: 'stop' });
  expect((await answer).choices.map(({ message }) => message.content)).toEqual(['one', 'two']);
});

test('the signal ends all choices', async () => {
  const controller = new AbortController();
  const answer = client.chat.completions.create({ messages: ask, n: 2 }, { signal: controller.signal });
  await until(() => engine.live.size === 2);
  controller.abort();
  await expect(answer).rejects.toMatchObject({ code: 'aborted' });
  await until(() => engine.live.size === 0);
});
